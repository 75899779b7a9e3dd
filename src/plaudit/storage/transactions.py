"""Transactions, whole or not at all, tried again where only the moment was wrong; SQLite writers share a commit."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, TimeoutError

from plaudit.errors import PlauditError
from plaudit.storage.store import Busy, DiskFull, Refused

Result = TypeVar("Result")

Action = Callable[[Connection], Result]
"""What to do inside a transaction; it may be run more than once before one run is committed."""

SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_FULL = 5, 6, 10, 13
"""Primary result codes: the low byte of the error code (sqlite.org/rescode.html)."""

Verdict = Literal["again", "full", "gone", "fatal"]

POSTGRES: dict[str, Verdict] = {
    "40001": "again",  # serialization_failure
    "40P01": "again",  # deadlock_detected
    "55P03": "again",  # lock_not_available
    "23505": "again",  # unique_violation: two wrote the same at once; now the second finds it stored
    "53100": "full",  # disk_full
    "57P01": "gone",  # admin_shutdown
    "57P02": "gone",  # crash_shutdown
    "57P03": "gone",  # cannot_connect_now
}
"""By SQLSTATE (Postgres manual, appendix A)."""


def verdict(error: DBAPIError) -> Verdict:
    """again: not stored, but trying again may work; full: no room; gone: no connection; fatal: the rest."""
    original = error.orig
    state = getattr(original, "sqlstate", None)
    if state is not None:
        return POSTGRES.get(state, "fatal")
    code = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        if code & 0xFF in (SQLITE_BUSY, SQLITE_LOCKED):
            return "again"
        if code & 0xFF == SQLITE_FULL or (code & 0xFF == SQLITE_IOERR and "full" in str(original)):
            return "full"
        return "again" if isinstance(error, IntegrityError) and "UNIQUE" in str(original) else "fatal"
    return "gone" if error.connection_invalidated else "fatal"


def retrying(
    action: Callable[[], Result], name: str, attempts: int = 8, sleep: Callable[[float], None] = time.sleep
) -> Result:
    """Do it, again where only the moment was wrong; `name` is the store to name in errors.

    Waits 10 ms, 20 ms, 40 ms ... at most 1 s in between. Whatever else the database says becomes one
    sentence.
    """
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except TimeoutError as error:  # has waited long already
            raise Busy(f"{name}: too many are at the database at once; try again") from error
        except DBAPIError as error:
            kind = verdict(error)
            if kind == "full":
                message = (
                    f"{name}: the disk is full, so nothing of this was stored; free some space and go on"
                )
                raise DiskFull(message) from error
            if kind == "gone":
                raise Busy(
                    f"{name}: the connection was lost; send it again, nothing is stored twice"
                ) from error
            if kind == "fatal":
                raise Refused(f"{name}: the database refuses: {_first_line(error)}") from error
            if attempt == attempts:
                raise Busy(f"{name}: the database stays busy ({_first_line(error)}); try again") from error
        sleep(min(0.01 * 2 ** (attempt - 1), 1.0))
    raise AssertionError("attempts must be 1 or more")


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]


class Transactions:
    """Transactions on one database, from any thread. `name` is the store to name in errors."""

    def __init__(self, engine: Engine, name: str):
        self.engine, self.name = engine, name
        self._writers = _Writers(engine, name) if engine.dialect.name == "sqlite" else None

    def read(self, action: Action[Result]) -> Result:
        """Run in a transaction that only reads."""
        return retrying(lambda: _within(self.engine, action), self.name)

    def write(self, action: Action[Result]) -> Result:
        """Run in a transaction that writes; what this returns is committed."""
        if self._writers is not None:
            return self._writers.write(action)
        return retrying(lambda: _within(self.engine, action), self.name)


@dataclass(eq=False)
class _Job:
    """One write that waits, and what became of it."""

    action: Action[Any]
    called: threading.Event = field(default_factory=threading.Event)
    """Set when it is finished, or when it is its turn to lead."""
    finished: bool = False
    result: Any = None
    error: Exception | None = None

    def finish(self, result: object = None, error: Exception | None = None) -> None:
        """Note how it ended."""
        self.result, self.error, self.finished = result, error, True


class _Writers:
    """The threads that want to write to one SQLite file, served in the order they came.

    SQLite has one writer at a time and a commit waits for the disk. So one thread leads: it does the writes
    of all who wait, in one transaction, wakes them after the commit, and hands the lead to the first who came
    meanwhile.
    """

    def __init__(self, engine: Engine, name: str):
        self._engine = engine.execution_options(begin="BEGIN IMMEDIATE")
        self._name = name
        self._lock = threading.Lock()
        self._waiting: list[_Job] = []
        self._leader: _Job | None = None
        """Who does the writes now; the only one that takes others out of the queue."""

    def write(self, action: Action[Result]) -> Result:
        """Do it, together with the writes of others; returns after the commit."""
        job = _Job(action)
        try:
            with self._lock:
                self._waiting.append(job)
                if self._leader is None:
                    self._leader = job
                    job.called.set()
            job.called.wait()
            if self._leader is job:
                self._run(self._waiting.copy())
        finally:
            try:
                self._hand_over(job)
            except BaseException:  # interrupted; doing all of it twice does no harm
                self._hand_over(job)
                raise
        if job.error is not None:
            raise job.error
        return job.result

    def _hand_over(self, job: _Job) -> None:
        """Leave the queue. Who led, even where it was interrupted, wakes whose writes are done and calls the next."""
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)
            if self._leader is job:
                for other in self._waiting:
                    if other.finished:
                        other.called.set()
                self._waiting = [other for other in self._waiting if not other.finished]
                self._leader = self._waiting[0] if self._waiting else None
            if self._leader is not None:
                self._leader.called.set()

    def _run(self, batch: list[_Job]) -> None:
        """All in one transaction; where that fails, each in one of its own."""
        for action in (_together, _apart) if len(batch) > 1 else ():
            try:
                ended = _within(
                    self._engine, lambda connection, act=action: [act(connection, job) for job in batch]
                )
            except PlauditError:
                continue  # somebody is refused, and nothing of it was stored
            except Exception:
                break  # the same; below, each gets the error that is its own
            for job, (result, error) in zip(batch, ended, strict=True):
                job.finish(result, error)
            return
        for job in batch:
            self._alone(job)

    def _alone(self, job: _Job) -> None:
        try:
            job.finish(retrying(lambda: _within(self._engine, job.action), self._name))
        except Exception as error:
            job.finish(error=error)


def _together(connection: Connection, job: _Job) -> tuple[Any, None]:
    """Within a shared transaction, which is undone where this job is refused: savepoints cost more than most jobs."""
    return job.action(connection), None


def _apart(connection: Connection, job: _Job) -> tuple[Any, PlauditError | None]:
    """Within a shared transaction: what this job refuses is undone, and only that."""
    try:
        with connection.begin_nested():
            return job.action(connection), None
    except PlauditError as error:
        return None, error


def _within(engine: Engine, action: Action[Result]) -> Result:
    with engine.begin() as connection:
        return action(connection)
