"""The numbers of the run page: what people have said, from the store, and how the policy does, from metrics.jsonl."""

import threading
import time
from collections.abc import Callable
from typing import Any

from plaudit.storage.database import Database
from plaudit.web.folder import Folder
from plaudit.web.metrics import CURVES, Metrics, thinned
from plaudit.web.statistics import LabellingStatistics
from plaudit.web.trainer import Trainer

FRESH_SECONDS = 0.5
"""Who asks within so long after another gets the same numbers."""


class Progress:
    """Reads what is new when it is asked; many may ask at once."""

    def __init__(
        self,
        database: Database,
        folder: Folder,
        trainer: Trainer,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._folder, self._trainer, self._metrics, self._clock = folder, trainer, metrics, clock
        self._statistics = LabellingStatistics(database)
        self._lock, self._at = threading.Lock(), -FRESH_SECONDS
        self._found: dict[str, Any] = {}

    def now(self) -> dict[str, Any]:
        """See `GET /api/progress` in docs/web.md."""
        with self._lock:
            if self._clock() - self._at >= FRESH_SECONDS:
                self._found = self._read()
                self._at = self._clock()
            return self._found

    def _read(self) -> dict[str, Any]:
        self._statistics.read()
        self._metrics.read()
        about = self._folder.manifest()
        budget = self._folder.budget()
        x = budget[1]
        series = {name: self._metrics.curve(name, x) for name in CURVES}
        series["win_rate"] = thinned(self._statistics.win_rate())
        return {
            "title": self._folder.title,
            "mode": "label" if about.get("stage") == "label" else "run",
            "status": self._folder.status(),
            "error": about.get("error"),
            "wish": self._trainer.wish(),
            "state": self._trainer.state(),
            "patience": self._folder.patience(),
            **self._statistics.counts(),
            "progress": {"done": self._metrics.last.get(x, 0), "of": budget[0], "in": x},
            "series": series,
            "x": x,
            "updated_at": self._metrics.updated_at or None,
        }
