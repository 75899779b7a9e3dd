"""Claims in SQL: lease a slot in one statement, and draw the order to show the options in."""

from collections.abc import Sequence

from sqlalchemy import (
    Connection,
    and_,
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


def claim(
    connection: Connection, seed: int, annotator: str, lease: tuple[float, float], besides: Sequence[int]
) -> Query | None:
    """Lease a slot to this person for (now, until); see `Store.claim`."""
    enter(connection, annotator)
    now, until = lease
    slot = slots.alias("slot")
    answered = exists().where(
        responses.c.annotator == annotator,
        responses.c.query_id == slot.c.query_id,
        responses.c.supersedes.is_(
            None
        ),  # every chain of corrections has one start; that index is `one_chain...`
    )
    anothers = exists().where(repeats.c.query_id == slot.c.query_id, repeats.c.annotator != annotator)
    open_to = and_(slot.c.response_id.is_(None), slot.c.query_id.not_in(besides), ~answered, ~anothers)
    oldest = select(slot.c.id).where(open_to).order_by(slot.c.id).limit(1)
    own = oldest.where(slot.c.holder == annotator)
    free = oldest.where(or_(slot.c.holder.is_(None), slot.c.lease_until <= now))
    # On Postgres a claim that came too late for a slot keeps it locked until it commits: the holder of the
    # slot waits for that, others pass over it.
    own_first = func.coalesce(
        own.with_for_update().scalar_subquery(), free.with_for_update(skip_locked=True).scalar_subquery()
    )
    lease_it = (
        update(slots)
        .where(slots.c.id == own_first)
        .values(holder=annotator, lease_until=until)
        .returning(slots.c.query_id)
    )
    query_id = connection.execute(lease_it).scalar_one_or_none()
    if query_id is None:
        return None
    row = connection.execute(select(queries).where(queries.c.id == query_id)).one()
    query = rows.to_query(row)
    return rows.to_query(row, _show(connection, seed, query, annotator))


def enter(connection: Connection, annotator: str) -> None:
    """Know this person, and let no other transaction act for the same person until this one ends."""
    values = {"name": annotator}
    if connection.dialect.name == "postgresql":
        connection.execute(postgresql.insert(annotators).values(values).on_conflict_do_nothing())
        one = select(annotators.c.name).where(annotators.c.name == annotator)
        connection.execute(one.with_for_update(key_share=True))
    else:  # SQLite has one writer at a time
        connection.execute(sqlite.insert(annotators).values(values).on_conflict_do_nothing())


def shown_to(connection: Connection, query_id: int, annotator: str) -> tuple[int, ...] | None:
    """The order this person was shown this query in; None where they never claimed it."""
    wanted = (showings.c.query_id == query_id, showings.c.annotator == annotator)
    text = connection.execute(select(showings.c.shown_order).where(*wanted)).scalar_one_or_none()
    return None if text is None else rows.to_order(text)


def _show(connection: Connection, seed: int, query: Query, annotator: str) -> tuple[int, ...]:
    known = shown_to(connection, query.id, annotator)
    if known is not None:
        return known
    count = len(query.items)
    mine = (showings.c.annotator == annotator, showings.c.options == count)
    last = connection.execute(select(func.max(showings.c.position)).where(*mine)).scalar_one()
    position = 0 if last is None else last + 1
    order = shown_order(seed, annotator, count, position)
    connection.execute(
        insert(showings).values(
            query_id=query.id,
            annotator=annotator,
            options=count,
            position=position,
            shown_order=rows.of_order(order),
        )
    )
    return order
