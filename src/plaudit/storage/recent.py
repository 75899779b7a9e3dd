"""Sessions that were looked up a moment ago, so that who answers many questions is not looked up for each of them."""

import threading
from typing import Generic, TypeVar

Whose = TypeVar("Whose")

MOST = 1000


class Recent(Generic[Whose]):
    """Of every session that was looked up a moment ago: whose it is. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, tuple[Whose, float]] = {}
        self.endings = 0
        """How often sessions were ended: what was read before the last time may be wrong."""

    def get(self, token: str, now: float) -> Whose | None:
        """Whose it is; None where that is not known any more."""
        person, until = self._found.get(token, (None, 0.0))
        return person if now < until else None

    def keep(self, token: str, person: Whose, until: float, endings: int) -> None:
        """Remember until then, unless a session was ended since `endings` was read."""
        with self._lock:
            if len(self._found) >= MOST:
                self._found.clear()
            if endings == self.endings:
                self._found[token] = person, until

    def forget(self) -> None:
        """A session was ended."""
        with self._lock:
            self.endings += 1
            self._found.clear()
