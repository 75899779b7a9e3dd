"""The queue as the people at the pages meet it: what they hold, what they have said, and nothing of anybody else."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, func, or_, select, update

from plaudit.feedback.kind import inverse
from plaudit.storage import answer_log, queue
from plaudit.storage.sql_queue import FOR_ANYBODY, LEFT, SqlQueueRows, ask_again
from plaudit.storage.store import LARGEST, NewResponse, NotYours, Query, Receipt, Response, Unknown
from plaudit.storage.tables import queries, query_of_row, repeats, response_of_row, responses, setting, slots
from plaudit.storage.transactions import Transactions

RENEW = (
    update(slots)
    .where(
        slots.c.holder == bindparam("who"),
        slots.c.response_id.is_(None),
        slots.c.query_id.in_(bindparam("known", expanding=True)),
    )
    .values(lease_until=bindparam("until"))
)
"""What a client says it still has stays with it."""


class LabelQueue:
    """Claims, answers and what is shown, for one person at a time; SQLite or Postgres."""

    def __init__(self, transactions: Transactions, clock: Callable[[], float] = time.time):
        self._do, self._clock = transactions, clock
        self._seed = int(transactions.read(lambda connection: setting(connection, "seed")) or 0)

    def claim(self, annotator: str, count: int, seconds: float, besides: Sequence[int] = ()) -> list[Query]:
        """Up to `count` questions for this person, as `Store.claim` gives them; one may be a repeat."""
        wish = queue.Claim(annotator, seconds, self._clock(), tuple(besides))

        def action(connection: Connection) -> list[Query]:
            rows = SqlQueueRows(connection)
            rows.enter(annotator)
            if wish.besides:
                values = {"who": annotator, "until": wish.until, "known": list(wish.besides)}
                connection.execute(RENEW, values)
            ask_again(rows, self._seed, wish)
            claimed: list[Query] = []
            while len(claimed) < count:
                taken = (*wish.besides, *(query.id for query in claimed))
                query = queue.claim_another(rows, self._seed, replace(wish, besides=taken))
                if query is None:
                    break
                claimed.append(query)
            return claimed

        return self._do.write(action)

    def may_get(self, annotator: str, besides: Sequence[int] = ()) -> bool:
        """Whether another question is left for this person, be it with somebody else at the moment."""
        values = {"who": annotator, "besides": [id for id in besides if 0 <= id <= LARGEST]}
        return self._do.read(lambda c: c.execute(LEFT, values).first()) is not None

    def submit(self, response: NewResponse, supersedes: str | None = None) -> Receipt:
        """`Store.submit` for somebody who was asked, whose answer names the options in the order shown.

        It is stored with the options in the order of the question, so that `first` means the same in all answers to
        it. `supersedes` names an own answer by its client_uuid.
        """
        now = float(self._clock())

        def action(connection: Connection) -> Receipt:
            rows = SqlQueueRows(connection)
            asked = rows.query(response.query_id)
            if asked is None:
                raise queue.unknown_query(response.query_id)
            shown = rows.order_shown(response.query_id, response.annotator)
            if shown is None and supersedes is None and _may_be_lost(connection, response, asked):
                rows.enter(response.annotator)
                shown = queue.show(
                    rows, self._seed, asked, response.annotator, response.shown_order
                ).shown_order
            if shown is None:
                raise NotYours(
                    f"response.query_id: query {response.query_id} was never given to you; "
                    "answer the questions you get"
                )
            query = replace(asked, shown_order=shown)
            answer_log.check_shown(response, query)
            old = None if supersedes is None else _own(connection, response.annotator, supersedes)
            feedback = response.feedback.permuted(inverse(shown))
            return queue.submit(rows, replace(response, supersedes=old, feedback=feedback), now, query)

        return self._do.write(action)

    def release(self, annotator: str, query_id: int) -> None:
        """Give a question back; nothing happens where the person does not hold it, or has answered it."""
        held = (slots.c.query_id == query_id, slots.c.holder == annotator, slots.c.response_id.is_(None))
        mine = exists().where(repeats.c.query_id == slots.c.query_id)  # nobody else may have a repeat
        free = update(slots).where(*held, ~mine).values(holder=None, lease_until=None)
        self._do.write(lambda connection: connection.execute(free))

    def latest(self, annotator: str, count: int) -> list[tuple[Response, Query]]:
        """The person's own standing answers, newest first, each with its question; both as they were shown."""
        later = responses.alias("later")
        corrected = exists().where(later.c.supersedes == responses.c.id)
        own = (
            select(responses)
            .where(responses.c.annotator == annotator, ~corrected)
            .order_by(responses.c.seq.desc())
            .limit(count)
        )

        def action(connection: Connection) -> list[tuple[Response, Query]]:
            newest = [response_of_row(row) for row in connection.execute(own)]
            wanted = select(queries).where(queries.c.id.in_([response.query_id for response in newest]))
            by_id = {row.id: query_of_row(row) for row in connection.execute(wanted)}
            return [_as_shown(response, by_id[response.query_id]) for response in newest]

        return self._do.read(action)

    def may_see(self, annotator: str | None, sha256: str) -> bool:
        """Whether an artifact belongs to a question: one that this person holds or has answered; None: any."""
        like = f"%{sha256}%"
        about = or_(queries.c["items"].like(like), queries.c.payload.like(like))
        own = and_(slots.c.query_id == queries.c.id, slots.c.holder == annotator)
        found = (
            select(queries.c.id).where(about) if annotator is None else select(queries.c.id).where(own, about)
        )
        return self._do.read(lambda connection: connection.execute(found.limit(1)).first()) is not None

    def answered(self) -> dict[str, int]:
        """How many questions each annotator has answered."""
        counted = select(responses.c.annotator, func.count(responses.c.query_id.distinct())).group_by(
            responses.c.annotator
        )
        return self._do.read(lambda c: {name: count for name, count in c.execute(counted)})

    def after(self, seq: int, count: int = 1000) -> list[tuple[Response, str]]:
        """The next answers after a number, with their receipts' SHA-256, by seq."""
        later = select(responses).where(responses.c.seq > seq).order_by(responses.c.seq).limit(count)
        return self._do.read(lambda c: [(response_of_row(row), row.sha256) for row in c.execute(later)])

    def last_at(self) -> float | None:
        """When the newest answer came; None: there is none."""
        newest = select(responses.c.received_at).order_by(responses.c.seq.desc()).limit(1)
        return self._do.read(lambda c: c.execute(newest).scalar_one_or_none())

    def questions(self, after: int) -> list[tuple[Query, dict[str, Any] | None]]:
        """The questions after an id, by id; with what `repeats` says of those that are a repeat."""
        whose = (repeats.c.original_id, repeats.c.annotator, repeats.c.block)
        later = (
            select(queries, *whose)
            .outerjoin(repeats, repeats.c.query_id == queries.c.id)
            .where(queries.c.id > after)
            .order_by(queries.c.id)
        )

        def of(row: Row[Any]) -> tuple[Query, dict[str, Any] | None]:
            again = {column.name: getattr(row, column.name) for column in whose}
            return query_of_row(row), None if row.original_id is None else again

        return self._do.read(lambda c: [of(row) for row in c.execute(later)])

    def repeats(self) -> dict[int, int]:
        """The question that each repeat repeats."""
        pairs = select(repeats.c.query_id, repeats.c.original_id)
        return self._do.read(lambda c: {new: old for new, old in c.execute(pairs)})

    def waiting(self) -> tuple[int, int]:
        """How many answers are still wanted, as `Store.pending`, and how many of these somebody is working on."""
        unfilled = slots.c.response_id.is_(None) & FOR_ANYBODY
        leased = func.count().filter(slots.c.lease_until > self._clock())
        counted = select(func.count(), leased).select_from(slots).where(unfilled)
        total, held = self._do.read(lambda connection: connection.execute(counted).one())
        return total, held


def _may_be_lost(connection: Connection, response: NewResponse, query: Query) -> bool:
    """Whether this person may have been shown the question, and the store that knew it was lost since.

    A repeat comes back with its showing, so that one without it is somebody else's.
    """
    whole = sorted(response.shown_order) == list(range(len(query.items)))
    return whole and query.purpose != "repeat" and setting(connection, "restored") is not None


def _as_shown(response: Response, query: Query) -> tuple[Response, Query]:
    order = response.shown_order
    return replace(response, feedback=response.feedback.permuted(order)), replace(query, shown_order=order)


def _own(connection: Connection, annotator: str, client_uuid: str) -> int:
    """The id of an own answer."""
    wanted = (responses.c.client_uuid == client_uuid, responses.c.annotator == annotator)
    id = connection.execute(select(responses.c.id).where(*wanted)).scalar_one_or_none()
    if id is None:
        raise Unknown(
            f"response.supersedes: {client_uuid!r} is not an answer of yours in this store; send that one first"
        )
    return id
