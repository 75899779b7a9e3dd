"""The rows of the queue in SQL: lease a slot in one statement, number an answer under a lock; and repeats.

A repeat is a question that one person is asked again, with the options the other way round, to see how steady the
answers are: one in every 20 answers, at a place that nobody can foresee; it is a question like any other, for this
person alone, and nothing is learned from it.

Statements are built once: building one takes longer than running it.
"""

from hashlib import sha256
from typing import Any

from sqlalchemy import (
    Connection,
    FromClause,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from plaudit.storage.queue import Claim, Showing
from plaudit.storage.store import NewQuery, NewResponse, Query, Receipt, Response
from plaudit.storage.tables import (
    annotators,
    order_of_text,
    query_of_row,
    repeats,
    response_of_row,
    responses,
    row_of_query,
    row_of_response,
    showings,
    slots,
    text_of_order,
)
from plaudit.storage.tables import queries as questions

SEQ_LOCK, QUERY_LOCK = 0x504C4455, 0x504C4456
"""Postgres: who gives out a seq, or the id of a question, holds this advisory lock until it commits: readers count on
numbers that appear in order."""

BLOCK = 20
"""One repeat in this many answers: 5 %."""
APART = 5
"""At least this many other answers lie between."""
REACH = 40
"""How far back a repeat may go, in answers."""

WHO = bindparam("who")

ENTER = {
    "postgresql": postgresql.insert(annotators).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(annotators).on_conflict_do_nothing(),
}
LOCK_PERSON = select(annotators.c.name).where(annotators.c.name == WHO).with_for_update(key_share=True)

QUESTION = select(questions).where(questions.c.id == bindparam("query"))
SHOWN = select(showings.c.shown_order).where(
    showings.c.query_id == bindparam("query"), showings.c.annotator == WHO
)
LAST_SHOWING = select(func.max(showings.c.position)).where(
    showings.c.annotator == WHO, showings.c.options == bindparam("count")
)
SHOW = insert(showings)

KNOWN = select(responses.c.id, responses.c.seq, responses.c.sha256).where(
    responses.c.client_uuid == bindparam("uuid")
)
ANSWER = select(responses).where(responses.c.id == bindparam("id"))
LATER = select(responses.c.id).where(responses.c.supersedes == bindparam("id"))
# Not `supersedes IS NULL`, of which every chain of corrections has one: SQLite would search the unique index on
# `supersedes`, where nearly all rows are NULL.
STARTED = (
    select(responses.c.id)
    .where(responses.c.annotator == WHO, responses.c.query_id == bindparam("query"))
    .limit(1)
)
LAST_SEQ = select(func.coalesce(func.max(responses.c.seq), 0))
ADD = insert(responses).returning(responses.c.id)
FILL = (
    update(slots).where(slots.c.id == bindparam("slot")).values(response_id=bindparam("response"), holder=WHO)
)

FOR_ANYBODY = ~exists().where(repeats.c.query_id == slots.c.query_id)
"""Slots that somebody else may fill where one person leaves: what waits for an answer, and not for a person."""
PENDING = select(func.count()).select_from(slots).where(slots.c.response_id.is_(None), FOR_ANYBODY)

ANSWERED = select(func.count(responses.c.query_id.distinct())).where(responses.c.annotator == WHO)
DONE = select(repeats.c.query_id).where(repeats.c.annotator == WHO, repeats.c.block == bindparam("block"))
EARLIER = (
    select(responses.c.query_id)
    .where(
        responses.c.annotator == WHO,
        responses.c.supersedes.is_(None) == true(),  # so written SQLite searches no index for it, as above
        ~exists().where(repeats.c.query_id == responses.c.query_id),
    )
    .order_by(responses.c.seq.desc())
    .offset(APART)
    .limit(REACH)
)


def _open_to(slot: FromClause) -> Any:
    """Slots that this person might fill, now or once whoever holds them gives them back."""
    answered = exists().where(responses.c.annotator == WHO, responses.c.query_id == slot.c.query_id)
    anothers = exists().where(repeats.c.query_id == slot.c.query_id, repeats.c.annotator != WHO)
    besides = slot.c.query_id.not_in(bindparam("besides", expanding=True))
    return and_(slot.c.response_id.is_(None), besides, ~answered, ~anothers)


def _lease() -> Any:
    """An own slot, or else the oldest free one, becomes this person's; gives its question."""
    slot = slots.alias("slot")
    oldest = select(slot.c.id).where(_open_to(slot)).order_by(slot.c.id).limit(1)
    own = oldest.where(slot.c.holder == WHO)
    free = oldest.where(or_(slot.c.holder.is_(None), slot.c.lease_until <= bindparam("now")))
    # On Postgres a claim that came too late for a slot keeps it locked until it commits: the holder of the
    # slot waits for that, others pass over it.
    own_first = func.coalesce(
        own.with_for_update().scalar_subquery(), free.with_for_update(skip_locked=True).scalar_subquery()
    )
    return (
        update(slots)
        .where(slots.c.id == own_first)
        .values(holder=WHO, lease_until=bindparam("until"))
        .returning(slots.c.query_id)
    )


def _room() -> Any:
    """The slot an answer fills: the person's own, or the oldest that nobody holds any more."""
    own = slots.c.holder == WHO
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


LEASE, ROOM = _lease(), _room()
LEFT = select(slots.c.id).where(_open_to(slots)).limit(1)


class SqlQueueRows:
    """See `QueueRows`: within the transaction of this connection."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self._do = connection.execute

    def enter(self, annotator: str) -> None:
        """See `QueueRows.enter`."""
        self._do(ENTER[self.connection.dialect.name], {"name": annotator})
        if self.connection.dialect.name == "postgresql":  # SQLite has one writer at a time
            self._do(LOCK_PERSON, {"who": annotator})

    def lease(self, claim: Claim) -> Query | None:
        """See `QueueRows.lease`."""
        values = {"who": claim.annotator, "now": claim.now, "until": claim.until}
        id = self._do(LEASE, values | {"besides": list(claim.besides)}).scalar_one_or_none()
        return None if id is None else self.query(id)

    def query(self, id: int) -> Query | None:
        """See `QueueRows.query`."""
        row = self._do(QUESTION, {"query": id}).one_or_none()
        return None if row is None else query_of_row(row)

    def order_shown(self, query_id: int, annotator: str) -> tuple[int, ...] | None:
        """See `QueueRows.order_shown`."""
        text = self._do(SHOWN, {"query": query_id, "who": annotator}).scalar_one_or_none()
        return None if text is None else order_of_text(text)

    def showings(self, annotator: str, options: int) -> int:
        """See `QueueRows.showings`; repeats stand at negative positions, beside the others."""
        last = self._do(LAST_SHOWING, {"who": annotator, "count": options}).scalar_one()
        return 0 if last is None else last + 1

    def add_showing(self, showing: Showing) -> None:
        """See `QueueRows.add_showing`."""
        row = {"query_id": showing.query_id, "annotator": showing.annotator, "position": showing.position}
        self._do(SHOW, {**row, "options": len(showing.order), "shown_order": text_of_order(showing.order)})

    def receipt(self, client_uuid: str) -> Receipt | None:
        """See `QueueRows.receipt`."""
        known = self._do(KNOWN, {"uuid": client_uuid}).one_or_none()
        return None if known is None else Receipt(known.id, known.seq, known.sha256)

    def answer(self, id: int) -> Response | None:
        """See `QueueRows.answer`."""
        row = self._do(ANSWER, {"id": id}).one_or_none()
        return None if row is None else response_of_row(row)

    def is_superseded(self, id: int) -> bool:
        """See `QueueRows.is_superseded`."""
        return self._do(LATER, {"id": id}).first() is not None

    def has_answered(self, annotator: str, query_id: int) -> bool:
        """See `QueueRows.has_answered`."""
        return self._do(STARTED, {"who": annotator, "query": query_id}).first() is not None

    def free_slot(self, annotator: str, query_id: int, now: float) -> int | None:
        """See `QueueRows.free_slot`."""
        return self._do(ROOM, {"who": annotator, "query": query_id, "now": now}).scalar_one_or_none()

    def add(self, response: NewResponse, digest: str, slot: int | None, now: float) -> Receipt:
        """See `QueueRows.add`."""
        lock_until_commit(self.connection, SEQ_LOCK)
        seq = self._do(LAST_SEQ).scalar_one() + 1
        row = {"seq": seq, "received_at": now, "sha256": digest, **row_of_response(response)}
        number = self._do(ADD, row).scalar_one()
        if slot is not None:
            self._do(FILL, {"slot": slot, "response": number, "who": response.annotator})
        return Receipt(number, seq, digest)


def lock_until_commit(connection: Connection, key: int) -> None:
    """Postgres: let nobody else pass here until this transaction ends; SQLite has one writer at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def ask_again(rows: SqlQueueRows, seed: int, wish: Claim) -> None:
    """Give this person a repeat if one is due; held for them until then, and for nobody else ever."""
    annotator, connection = wish.annotator, rows.connection
    answered = connection.execute(ANSWERED, {"who": annotator}).scalar_one()
    block, place = divmod(answered, BLOCK)
    if answered <= APART or place < _drawn(f"place/{seed}/{block}/{annotator}", BLOCK):
        return
    if connection.execute(DONE, {"who": annotator, "block": block}).first() is not None:
        return
    found = connection.execute(EARLIER, {"who": annotator}).scalars().all()
    if found:
        original = rows.query(found[_drawn(f"choice/{seed}/{block}/{annotator}", len(found))])
        assert original is not None
        lock_until_commit(connection, QUERY_LOCK)
        key, same = f"repeat/{annotator}/{block}", (original.kind, original.items, original.tick)
        new = row_of_query(NewQuery(key, *same, original.payload, purpose="repeat"))
        id = connection.execute(insert(questions).values(new).returning(questions.c.id)).scalar_one()
        row = {"query_id": id, "original_id": original.id, "annotator": annotator, "block": block}
        give_repeat(rows, row, wish.until)


def give_repeat(rows: SqlQueueRows, row: dict[str, Any], until: float) -> None:
    """Make a question the repeat that a row of `repeats` says, held for its person until then."""
    query_id, annotator = row["query_id"], row["annotator"]
    asked = rows.query(query_id)
    assert asked is not None
    rows.connection.execute(insert(repeats).values(row))
    rows.connection.execute(insert(slots).values(query_id=query_id, holder=annotator, lease_until=until))
    shown = rows.order_shown(row["original_id"], annotator) or tuple(range(len(asked.items)))
    # beside the balanced blocks of four, which count from 0
    rows.add_showing(Showing(query_id, annotator, -1 - row["block"], shown[::-1]))


def _drawn(name: str, count: int) -> int:
    """A place from 0 to count - 1, the same for ever for the same name."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") % count
