"""metrics.jsonl as curves: read where it was left off, again from the start where a resumed run has cut it."""

import json
import threading
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from plaudit.runs.old_names import renamed

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
