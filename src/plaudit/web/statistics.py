"""What people have said, counted: how many, how steadily, how unanimously, and on which side. Nothing is stored."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from plaudit.feedback.comparison import PREFERENCE, Comparison
from plaudit.maths.intervals import wilson
from plaudit.storage.database import Database
from plaudit.storage.store import Response
from plaudit.web.folder import Folder
from plaudit.web.trainer import CURVES, Metrics, Trainer, thinned


@dataclass(frozen=True)
class _Answer:
    """What is needed of a standing answer."""

    query_id: int
    annotator: str
    statement: Any
    """Equal where the same was said; None: skipped."""
    left: bool | None
    """A comparison was decided for what was shown first, or second; None: it was not."""
    points: float | None
    """Of the first option of a comparison; None: nothing about order was said."""
    at: float


class LabellingStatistics:
    """Reads what is new in the store and keeps of it what the counts need."""

    def __init__(self, database: Database):
        self.database = database
        self._seq = 0
        self._standing: dict[int, _Answer] = {}
        self._checks: dict[int, int] = {}
        self._queries = self._last = 0

    def read(self) -> bool:
        """Take in what is new; whether there was any."""
        news = False
        while new := self.database.queue.after(self._seq):
            news = True
            for response, _ in new:
                self._standing.pop(response.supersedes or 0, None)
                self._standing[response.id] = _needed(response)
            self._seq = new[-1][0].seq
        return self._read_questions() or news

    def counts(self) -> dict[str, Any]:
        """The part of the progress that is about people."""
        waiting, leased = self.database.queue.waiting()
        repeats = self.database.queue.repeats()
        answers = list(self._standing.values())
        steady = _steadiness(answers, repeats)
        unanimous = _unanimity(answers, repeats)
        sides = [one.left for one in answers if one.left is not None]
        return {
            "asked": self._queries,
            "labels": len(answers),
            "skipped": sum(one.statement is None for one in answers),
            "queue": waiting,
            "leased": leased,
            "people": self._people(answers),
            "agreement": None
            if not steady
            else {"repeats": len(steady), "agree": sum(steady)} | share(steady),
            "between": None
            if not unanimous
            else {"pairs": len(unanimous), "agree": sum(unanimous)} | share(unanimous),
            "sides": None if not sides else {"decided": len(sides), "first_shown": sum(sides)} | share(sides),
        }

    def win_rate(self) -> list[list[float]]:
        """[update, share of comparisons with the start that the policy won]: it is the first of held-out questions."""
        points: dict[int, list[float]] = defaultdict(list)
        for one in self._standing.values():
            if one.points is not None and one.query_id in self._checks:
                points[self._checks[one.query_id]].append(one.points)
        return [[update, sum(own) / len(own)] for update, own in sorted(points.items())]

    def _people(self, answers: list[_Answer]) -> list[dict[str, Any]]:
        ids = {person.name: person.id for person in self.database.people.everyone()}
        rows: dict[str, dict[str, Any]] = {}
        for one in answers:
            row = rows.setdefault(
                one.annotator,
                {"id": ids.get(one.annotator), "name": one.annotator, "answered": 0, "last_at": 0.0},
            )
            row["answered"] += 1
            row["last_at"] = max(row["last_at"], one.at)
        return sorted(rows.values(), key=lambda row: row["name"])

    def _read_questions(self) -> bool:
        fresh = self.database.queue.questions(self._last)
        for query, _ in fresh:
            if query.purpose == "held_out":
                self._checks[query.id] = query.tick
            self._last = query.id
        self._queries += len(fresh)
        return bool(fresh)


def share(hits: list[bool]) -> dict[str, float]:
    """A share with its 95 % interval."""
    low, high = wilson(sum(hits), len(hits))
    return {"rate": sum(hits) / len(hits), "low": low, "high": high}


def _needed(response: Response) -> _Answer:
    feedback, left, points = response.feedback, None, None
    if isinstance(feedback, Comparison):
        points = PREFERENCE.get(feedback.answer)
        if feedback.answer in ("first", "second") and len(response.shown_order) == 2:
            left = response.shown_order[0] == (feedback.answer == "second")
    return _Answer(response.query_id, response.annotator, feedback.said, left, points, response.received_at)


def _steadiness(answers: list[_Answer], repeats: dict[int, int]) -> list[bool]:
    """Of every repeat that was answered twice: whether the same person said the same."""
    statements = {(one.annotator, one.query_id): one.statement for one in answers}
    pairs = [
        (one.statement, statements.get((one.annotator, repeats[one.query_id])))
        for one in answers
        if one.query_id in repeats
    ]
    return [new == old for new, old in pairs if new is not None and old is not None]


def _unanimity(answers: list[_Answer], repeats: dict[int, int]) -> list[bool]:
    """Of all pairs of people who answered one question: whether they said the same."""
    by_query: dict[int, list[Any]] = defaultdict(list)
    for one in answers:
        if one.statement is not None and one.query_id not in repeats:
            by_query[one.query_id].append(one.statement)
    return [a == b for own in by_query.values() for a, b in combinations(own, 2)]


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
