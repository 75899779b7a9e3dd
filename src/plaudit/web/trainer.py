"""What the trainer of a folder does meanwhile, as far as it concerns people who answer."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from plaudit.runs.old_names import renamed
from plaudit.storage.database import Database
from plaudit.storage.store import Conflict
from plaudit.web.folder import Folder

CURVES: dict[str, tuple[str, ...]] = {
    "labels": ("feedback/labels",),
    "accuracy": ("reward/held_out_accuracy", "watch/held_out_accuracy"),
    "return": ("eval/return_mean", "rollout/ep_rew_mean"),
    "kl": ("objective/kl_per_answer", "objective/kl"),
}
"""By curve: the metrics that tell it, of which the first that is there counts."""

MOST = 400
"""Points of a curve that are sent."""


class Metrics:
    """The curves so far."""

    def __init__(self, path: Path):
        self.path, self._lock = path, threading.Lock()
        self._forget()

    def read(self) -> bool:
        """Take in what is new; whether there was any."""
        with self._lock:
            return self._read()

    def _read(self) -> bool:
        try:
            with self.path.open("rb") as file:
                status = self.path.stat()
                if status.st_ino != self._file or status.st_size < self._offset:
                    self._forget()
                self._file, self.updated_at = status.st_ino, status.st_mtime
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return False
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._take(line)
        return bool(whole)

    def curve(self, name: str, x: str) -> list[list[float]]:
        """[x, y] of a curve; x is a field of the rows. Thinned out evenly where there are many."""
        for metric in CURVES[name]:
            if found := self._curves.get(metric):
                return thinned([[at[x], y] for at, y in found if x in at])
        return []

    def _forget(self) -> None:
        self._file, self._offset, self.updated_at = 0, 0, 0.0
        self.last: dict[str, Any] = {}
        self._curves: dict[str, list[tuple[dict[str, float], float]]] = {}

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except ValueError:
            return
        if not isinstance(row, dict):
            return
        row = renamed(row)
        self.last = row
        at = {name: row[name] for name in ("timesteps", "update") if _number(row.get(name))}
        for metric in (name for names in CURVES.values() for name in names):
            if _number(row.get(metric)):
                self._curves.setdefault(metric, []).append((at, row[metric]))


def thinned(points: Sequence[list[float]], most: int = MOST) -> list[list[float]]:
    """At most so many points, the last one always among them."""
    step = -(-(len(points) - 1) // (most - 1)) or 1
    return [*points[: len(points) - 1 : step], *points[-1:]]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


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
