"""A store in SQLite or Postgres, through SQLAlchemy Core."""

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from plaudit.feedback import fields
from plaudit.storage import acceptance, claiming, rows, submitting, wire
from plaudit.storage.opening import open_engine
from plaudit.storage.repeats import FOR_ANYBODY
from plaudit.storage.session import Session
from plaudit.storage.store import LARGEST, Command, NewQuery, NewResponse, Query, Receipt, Response, whole
from plaudit.storage.tables import bounds, commands, queries, responses, settings, slots

CHUNK = 500
"""Values per IN (...): databases limit the number of parameters."""


class SqlStore:
    """See `Store`. Processes each open their own on the same database; do not carry one over a fork."""

    def __init__(self, session: Session, seed: int = 0, clock: Callable[[], float] = time.time):
        self._session, self._clock = session, clock
        self._seed = session.write(lambda connection: _seed(connection, seed))

    def enqueue(self, queries: Sequence[NewQuery]) -> list[int]:
        """See `Store.enqueue`."""
        new: dict[str, dict[str, Any]] = {}
        for row in [rows.of_query(query) for query in queries]:
            new.setdefault(row["key"], row)
        ids = self._session.write(lambda connection: add_queries(connection, new)) if new else {}
        return [ids[query.key] for query in queries]

    def claim(
        self, annotator: str, lease_seconds: float, now: float | None = None, besides: Sequence[int] = ()
    ) -> Query | None:
        """See `Store.claim`."""
        now = self._clock() if now is None else now
        acceptance.check_claim(annotator, lease_seconds, now)
        lease = (now, now + lease_seconds)
        known = [id for id in besides if 0 <= id <= LARGEST]
        return self._session.write(lambda c: claiming.claim(c, self._seed, annotator, lease, known))

    def submit(self, response: NewResponse, now: float | None = None) -> Receipt:
        """See `Store.submit`."""
        time = float(self._clock() if now is None else now)
        return self._session.write(lambda connection: submitting.submit(connection, response, time))

    def view(self, upto: int) -> list[Response]:
        """See `Store.view`."""
        later = responses.alias("later")
        superseded = select(later.c.supersedes).where(later.c.seq <= upto, later.c.supersedes.is_not(None))
        current = select(responses).where(responses.c.seq <= upto, responses.c.id.not_in(superseded))
        return self._responses(current)

    def history(self) -> list[Response]:
        """See `Store.history`."""
        return self._responses(select(responses))

    def bound(self, reader: str, tick: int) -> int:
        """See `Store.bound`."""
        key = {"reader": fields.text("reader", reader), "tick": whole("tick", tick, -LARGEST)}
        return self._session.write(lambda connection: _bound(connection, key))

    def queries(self, ids: Sequence[int] | None = None) -> list[Query]:
        """See `Store.queries`."""
        if ids is None:
            statement = select(queries).order_by(queries.c.id)
            return self._session.read(lambda c: [rows.to_query(row) for row in c.execute(statement)])
        known = self._session.read(lambda c: _by(c, "id", [id for id in ids if 0 <= id <= LARGEST]))
        found = {row.id: row for row in known}
        for id in ids:
            if id not in found:
                raise acceptance.unknown_query(id)
        return [rows.to_query(found[id]) for id in ids]

    def pending(self) -> int:
        """See `Store.pending`."""
        unfilled = select(func.count()).select_from(slots).where(slots.c.response_id.is_(None), FOR_ANYBODY)
        return self._session.read(lambda connection: connection.execute(unfilled).scalar_one())

    def command(self, kind: str, payload: dict[str, Any]) -> int:
        """See `Store.command`."""
        row = {
            "kind": fields.text("command.kind", kind),
            "payload": wire.as_object("command.payload", payload),
        }
        added = insert(commands).values(row).returning(commands.c.id)
        return self._session.write(lambda connection: connection.execute(added).scalar_one())

    def commands(self, after: int = 0) -> list[Command]:
        """See `Store.commands`."""
        later = select(commands).where(commands.c.id > after).order_by(commands.c.id)
        return self._session.read(lambda c: [rows.to_command(row) for row in c.execute(later)])

    def close(self) -> None:
        """See `Store.close`."""
        self._session.engine.dispose()

    def _responses(self, statement: Any) -> list[Response]:
        ordered = statement.order_by(responses.c.seq)
        return self._session.read(lambda c: [rows.to_response(row) for row in c.execute(ordered)])


def open_sql(place: str | Path, seed: int = 0) -> SqlStore:
    """The store in a SQLite file or at `postgresql://...`, made where there is none."""
    return SqlStore(Session(*open_engine(place)), seed)


def _seed(connection: Connection, seed: int) -> int:
    """The seed the store was made with."""
    _insert_new(connection, settings, {"name": "seed", "value": str(seed)})
    return int(connection.execute(select(settings.c.value).where(settings.c.name == "seed")).scalar_one())


def identity(session: Session) -> str:
    """What tells this database from all others: drawn at the first call, then kept in it."""

    def action(connection: Connection) -> str:
        _insert_new(connection, settings, {"name": "identity", "value": secrets.token_hex(16)})
        return connection.execute(select(settings.c.value).where(settings.c.name == "identity")).scalar_one()

    return session.write(action)


def add_queries(connection: Connection, new: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Add what is not there yet, each with its slots; the id of every key."""
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


def _bound(connection: Connection, key: dict[str, Any]) -> int:
    """What was noted at the first call, or note what is there now."""
    largest = connection.execute(select(func.coalesce(func.max(responses.c.seq), 0))).scalar_one()
    _insert_new(connection, bounds, {**key, "seq": largest})
    noted = (bounds.c.reader == key["reader"], bounds.c.tick == key["tick"])
    return connection.execute(select(bounds.c.seq).where(*noted)).scalar_one()


def _insert_new(connection: Connection, table: Any, row: dict[str, Any]) -> None:
    """Insert where the key is not there yet."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).values(row).on_conflict_do_nothing())
