"""What the trainer of a folder does meanwhile, as far as it concerns people who answer."""

import time
from collections.abc import Callable
from typing import Literal

from plaudit.storage.database import Database
from plaudit.storage.store import Conflict
from plaudit.web.folder import Folder
from plaudit.web.metrics import Metrics

State = Literal["label", "learning", "alone", "paused", "down", "over"]
"""label: there is no trainer; learning: it asks and learns; alone: it goes on, as nobody has answered for as long as
its patience lasts; paused: as somebody wished; down: it was killed, or has not begun; over: it has ended."""


FRESH_SECONDS = 0.5
"""How long a look at the store and the manifest serves everybody."""


class Trainer:
    """The process that learns, seen from the store and its manifest."""

    def __init__(
        self, database: Database, folder: Folder, metrics: Metrics, clock: Callable[[], float] = time.time
    ):
        self._database, self._folder, self._metrics, self._clock = database, folder, metrics, clock
        self._known: tuple[float, State] = (float("-inf"), "down")

    def state(self) -> State:
        """What it does; as it was a moment ago, where somebody has asked just before."""
        now = time.monotonic()
        if now - self._known[0] >= FRESH_SECONDS:
            self._known = (now, self._look())
        return self._known[1]

    def _look(self) -> State:
        if self._folder.manifest().get("stage") == "label":
            return "label"
        status = self._folder.status()
        if status != "running":
            return "down" if status in ("killed", "waiting") else "over"
        if self.wish() == "pause":
            return "paused"
        return "alone" if self._went_on() else "learning"

    def wish(self) -> str | None:
        """The latest command that this process of it obeys, or has obeyed."""
        after = self._folder.manifest().get("obeys_after", 0)
        wishes = [] if after is None else self._database.store.commands(after)
        return wishes[-1].kind if wishes else None

    def command(self, kind: str) -> int:
        """Put a wish into the command table; Conflict where nobody would hear it."""
        about, status = self._folder.manifest(), self._folder.status()
        if about.get("stage") == "label":
            raise Conflict("command: nothing is trained here; these questions are only to be answered")
        if status != "running":
            raise Conflict(f"command: the run is {status}; go on with: plaudit resume {self._folder.path}")
        if about.get("obeys_after", 0) is None:
            raise Conflict("command: the run is only starting; try again in some seconds")
        self._known = (float("-inf"), "down")  # it will show at once
        return self._database.store.command(kind, {})

    def _went_on(self) -> bool:
        """Its latest update did not wait for answers any more, and none has come since."""
        self._metrics.read()
        row, patience = self._metrics.last, self._folder.patience()
        began = self._folder.manifest().get("from_update", 0)
        if patience is None or not row.get("feedback/alone") or row.get("update", 0) <= began:
            return False
        last = self._database.queue.last_at() or 0.0
        return self._clock() - last > patience and self._database.store.pending() > 0
