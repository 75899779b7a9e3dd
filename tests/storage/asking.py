"""Places, questions and answers in few words, for the tests of the stores."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from plaudit.feedback import Comparison
from plaudit.feedback.comparison import Answer
from plaudit.storage import MemoryStore, NewQuery, NewResponse, Query, Response, Store
from plaudit.storage.store import LARGEST


@dataclass(frozen=True)
class Place:
    """Where a store lives, and how to open it (again)."""

    make: str
    address: str
    open: Callable[[], Store]


def question(key: str, wanted: int = 1, tick: int = 0) -> NewQuery:
    """A comparison of two options that carry the name of the question."""
    return NewQuery(key, "comparison", (f"{key}-a", f"{key}-b"), tick, {"prompt": key}, wanted)


def ask(store: Store, *keys: str, wanted: int = 1) -> list[int]:
    """Enqueue questions with these keys."""
    return store.enqueue([question(key, wanted) for key in keys])


def reply(
    query: Query, annotator: str, uuid: str, answer: Answer = "first", supersedes: int | None = None
) -> NewResponse:
    """An answer to a claimed question."""
    feedback = Comparison((query.items[0], query.items[1]), answer)
    return NewResponse(uuid, query.id, annotator, feedback, query.shown_order, 1200, supersedes)


def claimed(store: Store, annotator: str, now: float = 0.0, seconds: float = 60.0) -> Query:
    """A claim that must succeed."""
    query = store.claim(annotator, seconds, now)
    assert query is not None
    return query


class CountingStore(MemoryStore):
    """Counts the questions and answers that are read of it."""

    read = 0

    def answers(self, after: int = 0, upto: int = LARGEST) -> list[Response]:
        found = super().answers(after, upto)
        self.read += len(found)
        return found

    def queries(self, ids: Any = None, after: int = 0) -> Any:
        found = super().queries(ids, after)
        self.read += len(found)
        return found
