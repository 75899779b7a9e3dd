"""Errors that pass are tried again, others become one sentence: a test for every class."""

import sqlite3
from pathlib import Path

import psycopg.errors
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, OperationalError, TimeoutError

from plaudit.errors import PlauditError
from plaudit.storage import DiskFull
from plaudit.storage.retry import retrying, verdict
from plaudit.storage.store import Busy


def _sqlite_error(
    code: int, message: str, kind: type[sqlite3.Error] = sqlite3.OperationalError
) -> DBAPIError:
    error = kind(message)
    error.sqlite_errorcode = code
    wrapper = IntegrityError if kind is sqlite3.IntegrityError else OperationalError
    return wrapper("INSERT ...", {}, error)


def _postgres_error(kind: type[psycopg.Error]) -> DBAPIError:
    wrapper = IntegrityError if issubclass(kind, psycopg.IntegrityError) else OperationalError
    return wrapper("INSERT ...", {}, kind("said the server"))


TRANSIENT = {
    "SQLITE_BUSY": _sqlite_error(sqlite3.SQLITE_BUSY, "database is locked"),
    "SQLITE_BUSY_SNAPSHOT": _sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT, "database is locked"),
    "SQLITE_LOCKED": _sqlite_error(sqlite3.SQLITE_LOCKED, "database table is locked"),
    "SQLITE_CONSTRAINT_UNIQUE": _sqlite_error(
        sqlite3.SQLITE_CONSTRAINT_UNIQUE, "UNIQUE constraint failed: queries.key", sqlite3.IntegrityError
    ),
    "serialization": _postgres_error(psycopg.errors.SerializationFailure),
    "deadlock": _postgres_error(psycopg.errors.DeadlockDetected),
    "lock": _postgres_error(psycopg.errors.LockNotAvailable),
    "unique": _postgres_error(psycopg.errors.UniqueViolation),
}

FULL = {
    "SQLITE_FULL": _sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full"),
    "disk_full": _postgres_error(psycopg.errors.DiskFull),
}

FATAL = {
    "SQLITE_CORRUPT": _sqlite_error(sqlite3.SQLITE_CORRUPT, "database disk image is malformed"),
    "SQLITE_IOERR": _sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error"),
    "SQLITE_READONLY": _sqlite_error(sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
    "insert-only": _sqlite_error(
        sqlite3.SQLITE_CONSTRAINT_TRIGGER, "responses is insert-only", sqlite3.IntegrityError
    ),
    "foreign key": _postgres_error(psycopg.errors.ForeignKeyViolation),
    "syntax": _postgres_error(psycopg.errors.SyntaxError),
    "no such host": OperationalError("", {}, psycopg.OperationalError("connection failed")),
}

GONE = {
    "shut down": _postgres_error(psycopg.errors.AdminShutdown),
    "crashed": _postgres_error(psycopg.errors.CrashShutdown),
    "starting": _postgres_error(psycopg.errors.CannotConnectNow),
    "cut": InternalError("", {}, psycopg.OperationalError("server closed"), connection_invalidated=True),
}


class Flaky:
    """Raises an error a number of times, then gives its count of calls."""

    def __init__(self, error: Exception, times: int):
        self.error, self.times, self.calls = error, times, 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return self.calls


@pytest.mark.parametrize("name", TRANSIENT)
def test_what_passes_is_tried_again_with_growing_pauses(name: str) -> None:
    pauses: list[float] = []
    assert retrying(Flaky(TRANSIENT[name], 3), "feedback.db", sleep=pauses.append) == 4
    assert pauses == [0.01, 0.02, 0.04]


@pytest.mark.parametrize("name", TRANSIENT)
def test_it_gives_up_in_the_end_and_says_so(name: str) -> None:
    pauses: list[float] = []
    action = Flaky(TRANSIENT[name], 100)
    with pytest.raises(PlauditError, match=r"feedback\.db: .*busy"):
        retrying(action, "feedback.db", attempts=10, sleep=pauses.append)
    assert action.calls == 10
    assert pauses == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]


@pytest.mark.parametrize(
    "error", [*FULL.values(), *FATAL.values(), *GONE.values()], ids=[*FULL, *FATAL, *GONE]
)
def test_what_stays_is_not_tried_again(error: DBAPIError) -> None:
    action = Flaky(error, 100)
    with pytest.raises(PlauditError, match=r"feedback\.db: ") as caught:
        retrying(action, "feedback.db", sleep=pytest.fail)
    assert action.calls == 1
    assert isinstance(caught.value, DiskFull) == (error in FULL.values())
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("name", GONE)
def test_a_lost_connection_is_told_apart(name: str) -> None:
    assert verdict(GONE[name]) == "gone"


def test_a_pool_without_a_free_connection_is_busy() -> None:
    """SQLAlchemy's own error, which is none of the database's."""
    with pytest.raises(Busy, match=r"feedback\.db: too many"):
        retrying(Flaky(TimeoutError("QueuePool limit"), 100), "feedback.db", sleep=pytest.fail)


def test_other_errors_pass_through() -> None:
    with pytest.raises(ZeroDivisionError):
        retrying(Flaky(ZeroDivisionError(), 1), "feedback.db")


def test_a_real_lock_is_recognised(tmp_path: Path) -> None:
    """The codes above are those that SQLite really gives."""
    holder = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    holder.execute("CREATE TABLE t (n UNIQUE)")
    holder.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError) as unique:
        holder.execute("INSERT INTO t VALUES (1)")
    assert verdict(IntegrityError("", {}, unique.value)) == "again"
    holder.execute("BEGIN IMMEDIATE")
    other = sqlite3.connect(tmp_path / "x.db", timeout=0, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError) as locked:
        other.execute("BEGIN IMMEDIATE")
    assert verdict(OperationalError("", {}, locked.value)) == "again"
    other.close()
    holder.close()
