"""Engines: how connections to SQLite and Postgres are set up."""

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from plaudit.errors import PlauditError
from plaudit.storage import sqlite_file
from plaudit.storage.migrating import migrate
from plaudit.storage.retry import retrying

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers never wait for the writer
    "PRAGMA synchronous=FULL",  # what is committed survives a loss of power
    "PRAGMA foreign_keys=ON",
)


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
    return engine


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
