"""Submissions in SQL: check an answer, give it its number and fill its slot, all in one transaction.

Statements are built once: building one takes longer than running it.
"""

from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, or_, select, text, update

from plaudit.storage import acceptance, rows
from plaudit.storage.claiming import QUERY, enter, shown_to
from plaudit.storage.store import NewResponse, Query, Receipt
from plaudit.storage.tables import responses, slots

SEQ_LOCK = 0x504C4455
"""Postgres: who gives out a seq holds this advisory lock until it commits: numbers appear in order."""

KNOWN = select(responses.c.id, responses.c.seq, responses.c.sha256).where(
    responses.c.client_uuid == bindparam("uuid")
)
LAST_SEQ = select(func.coalesce(func.max(responses.c.seq), 0))
ADD = insert(responses).returning(responses.c.id)
FILL = (
    update(slots)
    .where(slots.c.id == bindparam("slot"))
    .values(response_id=bindparam("response"), holder=bindparam("who"))
)
STARTED = select(responses.c.id).where(
    responses.c.annotator == bindparam("who"),
    responses.c.query_id == bindparam("query"),
    responses.c.supersedes.is_(None),
)
ANSWER = select(responses).where(responses.c.id == bindparam("id"))
LATER = select(responses.c.id).where(responses.c.supersedes == bindparam("id"))


def _room() -> Any:
    """The slot an answer fills: the person's own, or the oldest that nobody holds any more."""
    own = slots.c.holder == bindparam("who")
    return (
        select(slots.c.id)
        .where(
            slots.c.query_id == bindparam("query"),
            slots.c.response_id.is_(None),
            or_(own, slots.c.holder.is_(None), slots.c.lease_until <= bindparam("now")),
        )
        .order_by(func.coalesce(own, False).desc(), slots.c.id)
        .limit(1)
        .with_for_update()  # wait: a claim that came too late for a slot holds it a moment longer
    )


ROOM = _room()


def submit(connection: Connection, response: NewResponse, now: float) -> Receipt:
    """Store an answer; see `Store.submit`. The receipt is good once the transaction has committed."""
    enter(connection, response.annotator)
    row = rows.of_response(response)
    known = _known(connection, response, row["sha256"])
    if known is not None:
        return known
    question = connection.execute(QUERY, {"query": response.query_id}).one_or_none()
    if question is None:
        raise acceptance.unknown_query(response.query_id)
    shown = shown_to(connection, response.query_id, response.annotator)
    acceptance.check_fit(response, rows.to_query(question), shown)
    return _store(connection, response, row, now)


def submit_checked(connection: Connection, response: NewResponse, query: Query, now: float) -> Receipt:
    """The same where this transaction has read the question as it was shown to this person."""
    enter(connection, response.annotator)
    row = rows.of_response(response)
    known = _known(connection, response, row["sha256"])
    if known is not None:
        return known
    acceptance.check_fit(response, query, query.shown_order)
    return _store(connection, response, row, now)


def _known(connection: Connection, response: NewResponse, sha256: str) -> Receipt | None:
    """The receipt of an answer that is there already."""
    known = connection.execute(KNOWN, {"uuid": response.client_uuid}).one_or_none()
    if known is None:
        return None
    if known.sha256 != sha256:
        raise acceptance.another_body(response.client_uuid)
    return Receipt(known.id, known.seq, known.sha256)


def _store(connection: Connection, response: NewResponse, row: dict[str, Any], now: float) -> Receipt:
    slot = _slot(connection, response, now) if response.supersedes is None else None
    if response.supersedes is not None:
        _check_superseded(connection, response, response.supersedes)
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SEQ_LOCK})
    seq = connection.execute(LAST_SEQ).scalar_one() + 1
    number = connection.execute(ADD, {"seq": seq, "received_at": now, **row}).scalar_one()
    if slot is not None:
        connection.execute(FILL, {"slot": slot, "response": number, "who": response.annotator})
    return Receipt(number, seq, row["sha256"])


def _slot(connection: Connection, response: NewResponse, now: float) -> int:
    """The slot this answer fills."""
    who = {"who": response.annotator, "query": response.query_id}
    if connection.execute(STARTED, who).first() is not None:
        raise acceptance.answered_already(response)
    slot = connection.execute(ROOM, {**who, "now": now}).scalar_one_or_none()
    if slot is None:
        raise acceptance.no_room(response.query_id)
    return slot


def _check_superseded(connection: Connection, response: NewResponse, superseded: int) -> None:
    old = connection.execute(ANSWER, {"id": superseded}).one_or_none()
    replaced = connection.execute(LATER, {"id": superseded}).first() is not None
    acceptance.check_superseded(response, None if old is None else rows.to_response(old), replaced)
