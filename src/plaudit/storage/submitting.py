"""Submissions in SQL: check an answer, give it its number and fill its slot, all in one transaction."""

from sqlalchemy import Connection, func, insert, or_, select, text, update

from plaudit.storage import acceptance, rows
from plaudit.storage.claiming import enter, shown_to
from plaudit.storage.store import NewResponse, Receipt
from plaudit.storage.tables import queries, responses, slots

SEQ_LOCK = 0x504C4455
"""Postgres: who gives out a seq holds this advisory lock until it commits: numbers appear in order."""


def submit(connection: Connection, response: NewResponse, now: float) -> Receipt:
    """Store an answer; see `Store.submit`. The receipt is good once the transaction has committed."""
    enter(connection, response.annotator)
    row = rows.of_response(response)
    known = connection.execute(
        select(responses.c.id, responses.c.seq, responses.c.sha256).where(
            responses.c.client_uuid == response.client_uuid
        )
    ).one_or_none()
    if known is not None:
        if known.sha256 != row["sha256"]:
            raise acceptance.another_body(response.client_uuid)
        return Receipt(known.id, known.seq, known.sha256)
    question = connection.execute(select(queries).where(queries.c.id == response.query_id)).one_or_none()
    if question is None:
        raise acceptance.unknown_query(response.query_id)
    shown = shown_to(connection, response.query_id, response.annotator)
    acceptance.check_fit(response, rows.to_query(question), shown)
    slot = _slot(connection, response, now) if response.supersedes is None else None
    if response.supersedes is not None:
        _check_superseded(connection, response, response.supersedes)
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SEQ_LOCK})
    seq = connection.execute(select(func.coalesce(func.max(responses.c.seq), 0))).scalar_one() + 1
    added = insert(responses).values(seq=seq, received_at=now, **row).returning(responses.c.id)
    number = connection.execute(added).scalar_one()
    if slot is not None:
        filled = {"response_id": number, "holder": response.annotator}
        connection.execute(update(slots).where(slots.c.id == slot).values(filled))
    return Receipt(number, seq, row["sha256"])


def _slot(connection: Connection, response: NewResponse, now: float) -> int:
    """The slot this answer fills: the person's own, or the oldest that nobody holds any more."""
    mine = select(responses.c.id).where(
        responses.c.annotator == response.annotator,
        responses.c.query_id == response.query_id,
        responses.c.supersedes.is_(None),
    )
    if connection.execute(mine).first() is not None:
        raise acceptance.answered_already(response)
    own = slots.c.holder == response.annotator
    free = (
        select(slots.c.id)
        .where(
            slots.c.query_id == response.query_id,
            slots.c.response_id.is_(None),
            or_(own, slots.c.holder.is_(None), slots.c.lease_until <= now),
        )
        .order_by(func.coalesce(own, False).desc(), slots.c.id)
        .limit(1)
        .with_for_update()  # wait: a claim that came too late for a slot holds it a moment longer
    )
    slot = connection.execute(free).scalar_one_or_none()
    if slot is None:
        raise acceptance.no_room(response.query_id)
    return slot


def _check_superseded(connection: Connection, response: NewResponse, superseded: int) -> None:
    old = connection.execute(select(responses).where(responses.c.id == superseded)).one_or_none()
    later = select(responses.c.id).where(responses.c.supersedes == superseded)
    replaced = connection.execute(later).first() is not None
    acceptance.check_superseded(response, None if old is None else rows.to_response(old), replaced)
