"""A database opened, SQLite or Postgres: as a store alone, or with all that a server needs over its connections."""

import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, create_engine, event, func, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.storage import queue, sqlite_file, wire
from plaudit.storage.label_queue import LabelQueue
from plaudit.storage.migrations import migrate
from plaudit.storage.people import People
from plaudit.storage.sql_queue import PENDING, QUERY_LOCK, SqlQueueRows, lock_until_commit
from plaudit.storage.store import LARGEST, Command, NewQuery, NewResponse, Query, Receipt, Response, whole
from plaudit.storage.tables import (
    bounds,
    command_of_row,
    commands,
    insert_new,
    keep_setting,
    queries,
    query_of_row,
    response_of_row,
    responses,
    row_of_query,
    slots,
)
from plaudit.storage.transactions import Transactions, retrying

CHUNK = 500
"""Values per IN (...): databases limit the number of parameters."""


class SqlStore:
    """See `Store`. Processes each open their own on the same database; do not carry one over a fork."""

    def __init__(self, transactions: Transactions, seed: int = 0, clock: Callable[[], float] = time.time):
        self._do, self._clock = transactions, clock
        self._seed = int(transactions.write(lambda c: keep_setting(c, "seed", str(seed))))

    def enqueue(self, queries: Sequence[NewQuery]) -> list[int]:
        """See `Store.enqueue`."""
        new: dict[str, dict[str, Any]] = {}
        for row in [row_of_query(query) for query in queries]:
            new.setdefault(row["key"], row)
        ids = self._do.write(lambda connection: add_queries(connection, new)) if new else {}
        return [ids[query.key] for query in queries]

    def claim(
        self, annotator: str, lease_seconds: float, now: float | None = None, besides: Sequence[int] = ()
    ) -> Query | None:
        """See `Store.claim`."""
        wish = queue.Claim(annotator, lease_seconds, self._clock() if now is None else now, tuple(besides))
        return self._do.write(lambda c: queue.claim(SqlQueueRows(c), self._seed, wish))

    def submit(self, response: NewResponse, now: float | None = None) -> Receipt:
        """See `Store.submit`."""
        time = float(self._clock() if now is None else now)
        return self._do.write(lambda c: queue.submit(SqlQueueRows(c), response, time))

    def view(self, upto: int) -> list[Response]:
        """See `Store.view`."""
        later = responses.alias("later")
        superseded = select(later.c.supersedes).where(later.c.seq <= upto, later.c.supersedes.is_not(None))
        current = select(responses).where(responses.c.seq <= upto, responses.c.id.not_in(superseded))
        return self._do.read(lambda c: _responses(c, current))

    def answers(self, after: int = 0, upto: int = LARGEST) -> list[Response]:
        """See `Store.answers`."""
        between = select(responses).where(responses.c.seq > after, responses.c.seq <= upto)
        return self._do.read(lambda c: _responses(c, between))

    def count_answers(self, upto: int = LARGEST) -> int:
        """See `Store.count_answers`."""
        last = select(func.max(responses.c.seq)).where(responses.c.seq <= upto)  # numbered without gaps
        return self._do.read(lambda c: c.execute(last).scalar_one()) or 0

    def pin_cursor(self, reader: str, tick: int) -> int:
        """See `Store.pin_cursor`."""
        key = {"reader": fields.text("reader", reader), "tick": whole("tick", tick, -LARGEST)}
        return self._do.write(lambda connection: _pin(connection, key))

    def queries(self, ids: Sequence[int] | None = None, after: int = 0) -> list[Query]:
        """See `Store.queries`."""
        if ids is None:
            later = select(queries).where(queries.c.id > after).order_by(queries.c.id)
            return self._do.read(lambda c: [query_of_row(row) for row in c.execute(later)])
        known = self._do.read(lambda c: _by(c, "id", [id for id in ids if 0 <= id <= LARGEST]))
        found = {row.id: row for row in known}
        for id in ids:
            if id not in found:
                raise queue.unknown_query(id)
        return [query_of_row(found[id]) for id in ids]

    def pending(self) -> int:
        """See `Store.pending`."""
        return self._do.read(lambda connection: connection.execute(PENDING).scalar_one())

    def command(self, kind: str, payload: dict[str, Any]) -> int:
        """See `Store.command`."""
        row = {
            "kind": fields.text("command.kind", kind),
            "payload": wire.as_object("command.payload", payload),
        }
        added = insert(commands).values(row).returning(commands.c.id)
        return self._do.write(lambda connection: connection.execute(added).scalar_one())

    def commands(self, after: int = 0) -> list[Command]:
        """See `Store.commands`."""
        later = select(commands).where(commands.c.id > after).order_by(commands.c.id)
        return self._do.read(lambda c: [command_of_row(row) for row in c.execute(later)])

    def close(self) -> None:
        """See `Store.close`."""
        self._do.engine.dispose()


def add_queries(connection: Connection, new: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Add what is not there yet, each with its slots; the id of every key."""
    lock_until_commit(connection, QUERY_LOCK)
    ids = {row.key: row.id for row in _by(connection, "key", list(new))}
    fresh = [row for key, row in new.items() if key not in ids]
    if fresh:
        added = insert(queries).returning(queries.c.id, queries.c.key, sort_by_parameter_order=True)
        ids |= {row.key: row.id for row in connection.execute(added, fresh)}
        room = [{"query_id": ids[row["key"]]} for row in fresh for _ in range(row["wanted"])]
        connection.execute(insert(slots), room)
    return ids


def _by(connection: Connection, column: str, values: Sequence[Any]) -> list[Any]:
    """The queries whose column has one of these values."""
    found = []
    for start in range(0, len(values), CHUNK):
        some = select(queries).where(queries.c[column].in_(values[start : start + CHUNK]))
        found += connection.execute(some).all()
    return found


def _responses(connection: Connection, statement: Select[Any]) -> list[Response]:
    return [response_of_row(row) for row in connection.execute(statement.order_by(responses.c.seq))]


def _pin(connection: Connection, key: dict[str, Any]) -> int:
    """What was noted at the first call, or note what is there now."""
    largest = connection.execute(select(func.coalesce(func.max(responses.c.seq), 0))).scalar_one()
    insert_new(connection, bounds, {**key, "seq": largest})
    noted = (bounds.c.reader == key["reader"], bounds.c.tick == key["tick"])
    return connection.execute(select(bounds.c.seq).where(*noted)).scalar_one()


SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers never wait for the writer
    "PRAGMA synchronous=FULL",  # what is committed survives a loss of power
    "PRAGMA foreign_keys=ON",
)

LEAST = 1000
"""Slots from which on SQLite is told how its rows are spread. By the statistics of a small store, grown since, it would
rather scan what it thinks is small than use an index; by none it uses the indexes."""
SAMPLE = 400
"""Entries of an index that SQLite looks at for its statistics: it takes a moment, however large the file."""


@dataclass(frozen=True)
class Database:
    """Everything a server needs of a database: the parts share its connections and commits."""

    store: SqlStore
    people: People
    queue: LabelQueue
    transactions: Transactions
    identity: str
    """Of this database: another one that lies in the same place later has another."""


def open_database(place: str | Path, seed: int = 0) -> Database:
    """Open a SQLite file or `postgresql://...` for a server."""
    transactions = Transactions(*open_engine(place))
    store = SqlStore(transactions, seed)
    identity = transactions.write(lambda c: keep_setting(c, "identity", secrets.token_hex(16)))
    return Database(store, People(transactions), LabelQueue(transactions), transactions, identity)


def open_sql(place: str | Path, seed: int = 0) -> SqlStore:
    """The store in a SQLite file or at `postgresql://...`, made where there is none."""
    return SqlStore(Transactions(*open_engine(place)), seed)


def open_engine(place: str | Path) -> tuple[Engine, str]:
    """An engine on tables of this version, and the name of the place for people (without a password).

    On SQLite, `engine.execution_options(begin="BEGIN IMMEDIATE")` is an engine for writers.
    """
    url = _url(place)
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        return _open_sqlite(path), str(path)
    name = url.render_as_string(hide_password=True)
    engine = create_engine(
        url, isolation_level="READ COMMITTED", pool_pre_ping=True, connect_args={"connect_timeout": 10}
    )
    retrying(lambda: migrate(engine, name, lambda connection, old: None), name)
    return engine, name


def _open_sqlite(path: Path) -> Engine:
    sqlite_file.warn_of_network(path)
    sqlite_file.inspect(path)
    engine = create_engine("sqlite://", creator=lambda: _connect(path), poolclass=QueuePool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The driver's own BEGIN is deferred: a reader that turns writer fails if another wrote meanwhile.
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    def _before(connection: Connection, old: str | None) -> None:
        if old is None:
            connection.exec_driver_sql(f"PRAGMA application_id = {sqlite_file.APPLICATION_ID}")
        else:
            sqlite_file.backup(path, _free_name(path, old))

    writer = engine.execution_options(begin="BEGIN IMMEDIATE")
    retrying(lambda: migrate(writer, str(path), _before), str(path))
    retrying(lambda: _keep_statistics(engine, writer), str(path))
    return engine


def _keep_statistics(engine: Engine, writer: Engine) -> None:
    """Tell SQLite how the rows are spread where there are ten times as many as it knows of: it chooses indexes by that.

    Postgres does so by itself.
    """
    known = "SELECT max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = 'slots'"
    with engine.begin() as connection:
        slots = connection.exec_driver_sql("SELECT max(id) FROM slots").scalar_one() or 0
        has = inspect(connection).has_table("sqlite_stat1")
        then = (connection.exec_driver_sql(known).scalar_one() or 0) if has else 0
    if slots >= max(LEAST, 10 * then):
        with writer.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA analysis_limit = {SAMPLE}")
            connection.exec_driver_sql("ANALYZE")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite_file.connect(path, "rwc")
    for pragma in SQLITE_PRAGMAS:
        connection.execute(pragma)
    return connection


def _free_name(path: Path, old: str) -> Path:
    """Where the backup before a migration goes: beside the file, never over another backup."""
    name, number = path.with_name(f"{path.name}.version-{old}"), 1
    while name.exists():
        number += 1
        name = path.with_name(f"{path.name}.version-{old}-{number}")
    return name


def _url(place: str | Path) -> URL:
    """The place as a URL; a plain path means SQLite."""
    text = str(place)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
        backend = url.drivername.partition("+")[0]
    except ArgumentError as error:
        raise PlauditError(f"{text!r} is not the address of a database: {error}") from error
    if backend in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not url.database or url.database == ":memory:":
        raise PlauditError(f"{text!r}: give the path of a SQLite file, postgresql://... or memory:")
    return url
