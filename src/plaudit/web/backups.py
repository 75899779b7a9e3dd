"""A copy of the store beside it, made now and then while it is served; `plaudit restore` puts it back."""

import sys
import threading
from pathlib import Path

from plaudit.storage.backup import Changes, copy, copy_path, counts, identity

EVERY_SECONDS = 60.0
"""Between two copies, where anything is new."""


class Backups:
    """Copies what is new."""

    def __init__(self, store: Path):
        self.store = store
        self._copied: int | None = None
        self._changes = Changes(store)
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
        self._changes.close()

    def _follow(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self._turn()
        self._turn()

    def _turn(self) -> None:
        try:
            version = self._changes.version()
            if self._is_another():
                self._tell(
                    "it holds less than its copy, or is another store; "
                    f"plaudit restore {self.store.parent} puts the copy back"
                )
            elif version != self._copied or not copy_path(self.store).exists():
                copy(self.store)
                self._copied = version
        except Exception as error:  # a full disk, say: the next turn tries again
            self._tell(str(error))

    def _is_another(self) -> bool:
        """Nothing is ever deleted: where something is missing, somebody took the store away and began a new one."""
        kept = copy_path(self.store)
        before, now = counts(kept), counts(self.store)
        names = identity(kept), identity(self.store)
        return now[0] < before[0] or now[1] < before[1] or (None not in names and names[0] != names[1])

    def _tell(self, why: str) -> None:
        print(f"plaudit: no copy of the store was made: {why}", file=sys.stderr)
