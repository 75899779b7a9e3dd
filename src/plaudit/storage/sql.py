"""A store in SQLite or Postgres, through SQLAlchemy Core."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select

from plaudit.feedback import fields
from plaudit.storage import queue, wire
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
from plaudit.storage.transactions import Transactions

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


def _responses(connection: Connection, statement: Any) -> list[Response]:
    return [response_of_row(row) for row in connection.execute(statement.order_by(responses.c.seq))]


def _pin(connection: Connection, key: dict[str, Any]) -> int:
    """What was noted at the first call, or note what is there now."""
    largest = connection.execute(select(func.coalesce(func.max(responses.c.seq), 0))).scalar_one()
    insert_new(connection, bounds, {**key, "seq": largest})
    noted = (bounds.c.reader == key["reader"], bounds.c.tick == key["tick"])
    return connection.execute(select(bounds.c.seq).where(*noted)).scalar_one()
