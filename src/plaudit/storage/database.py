"""A database opened, SQLite or Postgres: as a store alone, or with all that a server needs over its connections."""

import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from plaudit.errors import PlauditError
from plaudit.storage import sqlite_file
from plaudit.storage.label_queue import LabelQueue
from plaudit.storage.migrations import migrate
from plaudit.storage.people import People
from plaudit.storage.sql import SqlStore
from plaudit.storage.tables import keep_setting
from plaudit.storage.transactions import Transactions, retrying

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
