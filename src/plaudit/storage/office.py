"""One database opened for a server: the store, the people and the reception share its connections and commits."""

from dataclasses import dataclass
from pathlib import Path

from plaudit.storage.opening import open_engine
from plaudit.storage.people import People
from plaudit.storage.reception import Reception
from plaudit.storage.session import Session
from plaudit.storage.sql import SqlStore, identity


@dataclass(frozen=True)
class Office:
    """Everything a server needs of a database."""

    store: SqlStore
    people: People
    reception: Reception
    session: Session
    identity: str
    """Of this database: another one that lies in the same place later has another."""


def open_office(place: str | Path, seed: int = 0) -> Office:
    """Open a SQLite file or `postgresql://...` for a server."""
    session = Session(*open_engine(place))
    store = SqlStore(session, seed)
    return Office(store, People(session), Reception(session), session, identity(session))
