"""A copy of the store beside it, made now and then while it is served; `plaudit restore` puts it back."""

import sys
import threading
from pathlib import Path

from plaudit.storage.copies import copy, counts
from plaudit.storage.session import Session

EVERY_SECONDS = 60.0
"""Between two copies, where anything is new."""


class Copying:
    """Copies what is new."""

    def __init__(self, session: Session, store: Path):
        self.session, self.store = session, store
        self._stop = threading.Event()
        self._copied = (0, 0)
        """Questions and answers that the last copy held."""
        self._thread = threading.Thread(target=self._follow, name="copies", daemon=True)

    def start(self) -> None:
        """Begin; only once no other server may be writing this copy."""
        self._thread.start()

    def close(self) -> None:
        """Copy what is left, then stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _follow(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self._turn()
        self._turn()

    def _turn(self) -> None:
        try:
            found = counts(self.session)
            if found != self._copied:
                copy(self.store)
                self._copied = found
        except Exception as error:  # a full disk, say: the next turn tries again
            print(f"plaudit: no copy of the store could be made ({error})", file=sys.stderr)
