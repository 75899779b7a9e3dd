"""What the trainer of a folder does meanwhile, as far as it concerns people who answer."""

import time
from collections.abc import Callable
from typing import Literal

from plaudit.storage.office import Office
from plaudit.storage.store import Conflict
from plaudit.web.folder import Folder

State = Literal["label", "learning", "alone", "paused", "down", "over"]
"""label: there is no trainer; learning: it asks and learns; alone: it goes on, as nobody has answered for as long as
its patience lasts; paused: as somebody wished; down: it was killed, or has not begun; over: it has ended."""


class Trainer:
    """The process that learns, seen from the store and its manifest."""

    def __init__(self, office: Office, folder: Folder, clock: Callable[[], float] = time.time):
        self._office, self._folder, self._clock = office, folder, clock

    def state(self) -> State:
        """What it does."""
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
        wishes = [] if after is None else self._office.store.commands(after)
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
        return self._office.store.command(kind, {})

    def _went_on(self) -> bool:
        """It waits for answers no longer than its patience; before the first answer it cannot go on."""
        patience = self._folder.patience()
        last = self._office.reception.last_at() if patience is not None else None
        if patience is None or last is None or not self._office.store.pending():
            return False
        about = self._folder.manifest()
        return self._clock() - max(last, about.get("resumed", 0.0)) > patience
