"""Errors that pass are tried again, others become one sentence; threads that write to one SQLite file share a commit."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg.errors
import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, OperationalError, TimeoutError

from plaudit.errors import PlauditError
from plaudit.storage import DiskFull
from plaudit.storage.database import open_engine
from plaudit.storage.store import Busy
from plaudit.storage.transactions import Transactions, retrying, verdict


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


# ---------------------------------------------------------------------------------------------- shared commits


@pytest.fixture
def transactions(tmp_path: Path) -> Iterator[Transactions]:
    """Transactions on a file with a table of numbers."""
    transactions = Transactions(*open_engine(tmp_path / "feedback.db"))
    transactions.write(lambda c: c.execute(text("CREATE TABLE numbers (n INTEGER UNIQUE)")))
    yield transactions
    transactions.engine.dispose()


def _insert(n: int) -> Callable[[Connection], int]:
    def action(connection: Connection) -> int:
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": n})
        return n

    return action


def _then_raise(n: int, error: BaseException) -> Callable[[Connection], int]:
    def action(connection: Connection) -> int:
        _insert(n)(connection)
        raise error

    return action


def _at_once(transactions: Transactions, actions: list[Callable[[Connection], Any]]) -> list[Any]:
    """Start all while a first write holds the turn; what each gave or raised."""
    started, go = threading.Event(), threading.Event()

    def holding(connection: Connection) -> str:
        started.set()
        assert go.wait(20)
        return "held"

    results: list[Any] = [None] * (len(actions) + 1)

    def run(place: int, action: Callable[[Connection], Any]) -> None:
        try:
            results[place] = transactions.write(action)
        except BaseException as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(0, holding))]
    threads[0].start()
    assert started.wait(20)
    for place, action in enumerate(actions, 1):
        threads.append(threading.Thread(target=run, args=(place, action)))
        threads[-1].start()
        while len(transactions._writers._waiting) <= place:  # each in its place in the queue
            threading.Event().wait(0.001)
    go.set()
    for thread in threads:
        thread.join(60)
    return results[1:]


def _numbers(transactions: Transactions) -> list[int]:
    return transactions.read(
        lambda c: list(c.execute(text("SELECT n FROM numbers ORDER BY rowid")).scalars())
    )


def test_those_who_wait_share_one_commit_in_the_order_they_came(transactions: Transactions) -> None:
    commits = []
    event.listen(transactions.engine, "commit", lambda connection: commits.append(connection))
    assert _at_once(transactions, [_insert(n) for n in (5, 3, 9, 1)]) == [5, 3, 9, 1]
    assert len(commits) == 2
    assert _numbers(transactions) == [5, 3, 9, 1]


def test_a_refusal_undoes_its_own_write_only(transactions: Transactions) -> None:
    refusal = PlauditError("no")
    assert _at_once(transactions, [_insert(1), _then_raise(2, refusal), _insert(3)]) == [1, refusal, 3]
    assert _numbers(transactions) == [1, 3]


def test_an_error_of_the_database_or_the_program_reaches_only_its_own_thread(
    transactions: Transactions,
) -> None:
    bug = ZeroDivisionError()
    broken = [_insert(1), lambda c: c.execute(text("SELECT * FROM nowhere")), _then_raise(2, bug), _insert(3)]
    first, second, third, fourth = _at_once(transactions, broken)
    assert (first, third, fourth) == (1, bug, 3)
    assert isinstance(second, PlauditError) and "nowhere" in str(second)
    assert _numbers(transactions) == [1, 3]


def test_an_interrupted_leader_hands_over(transactions: Transactions) -> None:
    results = _at_once(transactions, [_then_raise(1, KeyboardInterrupt()), _insert(2), _insert(3)])
    assert isinstance(results[0], KeyboardInterrupt)
    assert results[1:] == [2, 3]
    assert transactions.write(_insert(4)) == 4
    assert _numbers(transactions) == [2, 3, 4]


def test_who_wakes_late_takes_nothing_from_whoever_leads_by_then(transactions: Transactions) -> None:
    """The first serves the second, who wakes only once the third has served itself and while the fourth waits."""
    queue, answers, threads = transactions._writers, {}, []
    held = {n: (threading.Event(), threading.Event()) for n in (0, 1, 3)}
    finished, woken = threading.Event(), threading.Event()
    original = queue._hand_over

    def start(n: int) -> None:
        def action(connection: Connection) -> int:
            if n in held:
                held[n][0].set()
                assert held[n][1].wait(20)
            return n

        action.n = n  # type: ignore[attr-defined]
        threads.append(
            threading.Thread(target=lambda: answers.update({n: transactions.write(action)}), daemon=True)
        )
        before = len(queue._waiting)
        threads[-1].start()
        while len(queue._waiting) <= before:
            time.sleep(0.001)

    def hand_over(job: Any) -> None:
        if job.action.n == 2:
            assert finished.wait(20)
        if job.action.n == 3:
            finished.set()
            assert woken.wait(20)
        original(job)
        if job.action.n == 2:
            woken.set()

    queue._hand_over = hand_over
    start(0)
    assert held[0][0].wait(20)  # leads
    start(1), start(2)
    held[0][1].set()
    assert held[1][0].wait(20)  # leads, for both
    start(3)
    held[1][1].set()
    assert held[3][0].wait(20)  # leads
    start(4)
    held[3][1].set()
    for thread in threads:
        thread.join(20)
    assert answers == {n: n for n in range(5)}
