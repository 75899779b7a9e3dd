"""A copy of the store beside it, made now and then while it is served; `plaudit restore` puts it back."""

import sys
import threading
from pathlib import Path

from plaudit.storage.copies import copy, copy_path, counts

EVERY_SECONDS = 60.0
"""Between two copies, where anything is new."""


class Copying:
    """Copies what is new."""

    def __init__(self, store: Path):
        self.store = store
        self._stop = threading.Event()
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
            before, now = counts(copy_path(self.store)), counts(self.store)
            if (
                now[0] < before[0] or now[1] < before[1]
            ):  # nothing is ever deleted, so somebody took the store away
                self._tell(f"it holds less than its copy; plaudit restore {self.store.parent} puts that back")
            elif now != before:
                copy(self.store)
        except Exception as error:  # a full disk, say: the next turn tries again
            self._tell(str(error))

    def _tell(self, why: str) -> None:
        print(f"plaudit: no copy of the store was made: {why}", file=sys.stderr)
