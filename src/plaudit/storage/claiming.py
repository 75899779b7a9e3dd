"""Claims in SQL: lease a slot in one statement, and draw the order to show the options in.

Statements are built once: building one takes longer than running it.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from plaudit.storage import rows
from plaudit.storage.showing import shown_order
from plaudit.storage.store import Query
from plaudit.storage.tables import annotators, queries, repeats, responses, showings, slots

ENTER = {
    "postgresql": postgresql.insert(annotators).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(annotators).on_conflict_do_nothing(),
}
LOCK_PERSON = (
    select(annotators.c.name).where(annotators.c.name == bindparam("who")).with_for_update(key_share=True)
)
QUERY = select(queries).where(queries.c.id == bindparam("query"))
SHOWN = select(showings.c.shown_order).where(
    showings.c.query_id == bindparam("query"), showings.c.annotator == bindparam("who")
)
LAST_SHOWING = select(func.max(showings.c.position)).where(
    showings.c.annotator == bindparam("who"), showings.c.options == bindparam("count")
)
SHOW = insert(showings)


def _open_to(slot: Any) -> Any:
    """Slots that this person might fill, now or once whoever holds them gives them back."""
    who = bindparam("who")
    answered = exists().where(
        responses.c.annotator == who,
        responses.c.query_id == slot.c.query_id,
        responses.c.supersedes.is_(
            None
        ),  # every chain of corrections has one start; that index is `one_chain...`
    )
    anothers = exists().where(repeats.c.query_id == slot.c.query_id, repeats.c.annotator != who)
    besides = slot.c.query_id.not_in(bindparam("besides", expanding=True))
    return and_(slot.c.response_id.is_(None), besides, ~answered, ~anothers)


def _lease() -> Any:
    """An own slot, or else the oldest free one, becomes this person's; gives its question."""
    who = bindparam("who")
    slot = slots.alias("slot")
    oldest = select(slot.c.id).where(_open_to(slot)).order_by(slot.c.id).limit(1)
    own = oldest.where(slot.c.holder == who)
    free = oldest.where(or_(slot.c.holder.is_(None), slot.c.lease_until <= bindparam("now")))
    # On Postgres a claim that came too late for a slot keeps it locked until it commits: the holder of the
    # slot waits for that, others pass over it.
    own_first = func.coalesce(
        own.with_for_update().scalar_subquery(), free.with_for_update(skip_locked=True).scalar_subquery()
    )
    return (
        update(slots)
        .where(slots.c.id == own_first)
        .values(holder=who, lease_until=bindparam("until"))
        .returning(slots.c.query_id)
    )


LEASE = _lease()
LEFT = select(slots.c.id).where(_open_to(slots)).limit(1)


def claim(
    connection: Connection, seed: int, annotator: str, lease: tuple[float, float], besides: Sequence[int]
) -> Query | None:
    """Lease a slot to this person for (now, until); see `Store.claim`."""
    enter(connection, annotator)
    return claim_one(connection, seed, annotator, lease, besides)


def claim_one(
    connection: Connection, seed: int, annotator: str, lease: tuple[float, float], besides: Sequence[int]
) -> Query | None:
    """The same for somebody who has entered in this transaction."""
    values = {"who": annotator, "now": lease[0], "until": lease[1], "besides": list(besides)}
    query_id = connection.execute(LEASE, values).scalar_one_or_none()
    if query_id is None:
        return None
    row = connection.execute(QUERY, {"query": query_id}).one()
    query = rows.to_query(row)
    return rows.to_query(row, show(connection, seed, query, annotator))


def enter(connection: Connection, annotator: str) -> None:
    """Know this person, and let no other transaction act for the same person until this one ends."""
    connection.execute(ENTER[connection.dialect.name], {"name": annotator})
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        connection.execute(LOCK_PERSON, {"who": annotator})


def shown_to(connection: Connection, query_id: int, annotator: str) -> tuple[int, ...] | None:
    """The order this person was shown this query in; None where they never claimed it."""
    text = connection.execute(SHOWN, {"query": query_id, "who": annotator}).scalar_one_or_none()
    return None if text is None else rows.to_order(text)


def show(
    connection: Connection, seed: int, query: Query, annotator: str, order: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """The order in which this person sees the options: that of the last time, else the given or a balanced one."""
    known = shown_to(connection, query.id, annotator)
    if known is not None:
        return known
    count = len(query.items)
    last = connection.execute(LAST_SHOWING, {"who": annotator, "count": count}).scalar_one()
    position = 0 if last is None else last + 1
    order = order or shown_order(seed, annotator, count, position)
    row = {"query_id": query.id, "annotator": annotator, "options": count, "position": position}
    connection.execute(SHOW, {**row, "shown_order": rows.of_order(order)})
    return order
