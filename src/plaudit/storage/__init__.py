"""Where queries, answers and artifacts live."""

from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.storage.answer_log import AnswerLog
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.memory import MemoryStore
from plaudit.storage.store import (
    Command,
    Conflict,
    DiskFull,
    NewQuery,
    NewResponse,
    Purpose,
    Query,
    Receipt,
    Response,
    Store,
)

__all__ = [
    "AnswerLog",
    "Artifacts",
    "Command",
    "Conflict",
    "DiskFull",
    "MemoryStore",
    "NewQuery",
    "NewResponse",
    "Purpose",
    "Query",
    "Receipt",
    "Response",
    "Store",
    "open_store",
]


def open_store(place: str | Path, seed: int = 0) -> Store:
    """The store at a place: the path of a SQLite file (made if need be), `postgresql://...` or `memory:`.

    `seed` decides in which order people are shown options; a store keeps the seed it was made with.
    """
    if str(place) == "memory:":
        return MemoryStore(seed)
    try:
        from plaudit.storage.database import open_sql  # only who stores needs the database toolkit
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "plaudit":
            raise
        raise PlauditError(
            f"{place}: {error.name} is missing; install it with pip install 'plaudit[store]'"
        ) from error
    return open_sql(place, seed)
