"""Transactions, whole or not at all, retried where they may be; waiting SQLite writers share a commit."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from plaudit.errors import PlauditError
from plaudit.storage.retry import retrying

Result = TypeVar("Result")

Action = Callable[[Connection], Result]
"""What to do inside a transaction; it may be run more than once before one run is committed."""


class Session:
    """Transactions on one database, from any thread. `name` is the store to name in errors."""

    def __init__(self, engine: Engine, name: str):
        self.engine, self.name = engine, name
        self._writers = _Queue(engine, name) if engine.dialect.name == "sqlite" else None

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
    """Set when it is settled, or when it is its turn to lead."""
    settled: bool = False
    result: Any = None
    error: Exception | None = None

    def settle(self, result: Any = None, error: Exception | None = None) -> None:
        """Note how it ended."""
        self.result, self.error, self.settled = result, error, True


class _Queue:
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
                    if other.settled:
                        other.called.set()
                self._waiting = [other for other in self._waiting if not other.settled]
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
                job.settle(result, error)
            return
        for job in batch:
            self._alone(job)

    def _alone(self, job: _Job) -> None:
        try:
            job.settle(retrying(lambda: _within(self._engine, job.action), self._name))
        except Exception as error:
            job.settle(error=error)


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
