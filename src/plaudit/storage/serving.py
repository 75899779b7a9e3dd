"""At most one server on a store: a lock that its process holds, and lets go of however it ends."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy import text

from plaudit.errors import PlauditError
from plaudit.storage.transactions import Transactions

LOCK = 0x504C5352
"""Postgres: the server holds this advisory lock, together with the number of its schema."""


class ServerRecord:
    """A file beside the store: who serves it and where; what it said before is kept for the next one."""

    def __init__(self, file: IO[str]):
        self._file = file
        self.before = _read(file)

    def write(self, **about: object) -> None:
        """Say who serves."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps({"process": os.getpid(), **about}))
        self._file.flush()


@contextmanager
def only_server(transactions: Transactions, path: Path) -> Iterator[ServerRecord]:
    """Hold the store for this server, with the record at this path; PlauditError with the reason where another does."""
    with held(path) as record, _on_postgres(transactions, record.before):
        yield record


@contextmanager
def held(path: Path) -> Iterator[ServerRecord]:
    """The same for the folder alone: no server on this machine serves it meanwhile."""
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _served(str(path.parent), _read(file)) from None
        yield ServerRecord(file)


@contextmanager
def _on_postgres(transactions: Transactions, before: dict[str, Any]) -> Iterator[None]:
    """Servers on several machines may share a database but no file."""
    engine = transactions.engine
    if engine.dialect.name != "postgresql":
        yield
        return
    schema = "(SELECT oid::int FROM pg_namespace WHERE nspname = current_schema())"
    with engine.connect() as connection:
        held = connection.execute(text(f"SELECT pg_try_advisory_lock(:key, {schema})"), {"key": LOCK})
        if not held.scalar_one():
            raise _served("this database", before)
        connection.commit()
        try:
            yield
        finally:
            connection.execute(text(f"SELECT pg_advisory_unlock(:key, {schema})"), {"key": LOCK})


def _read(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    try:
        found = json.loads(file.read())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _served(what: str, record: dict[str, Any]) -> PlauditError:
    where = f" at {record['address']}" if record.get("address") else ""
    who = f" (process {record['process']})" if record.get("process") else ""
    return PlauditError(
        f"{what}: another server is serving it{where}{who}; use that one, or stop it first: two would give out and "
        "count the same answers twice"
    )
