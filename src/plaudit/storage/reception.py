"""The store as the people at the pages meet it: what they hold, what they have said, and nothing of anybody else."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, func, or_, select, update

from plaudit.feedback.places import inverse, permuted
from plaudit.storage import acceptance, claiming, restored, rows, submitting
from plaudit.storage.repeats import FOR_ANYBODY, ask_again
from plaudit.storage.session import Session
from plaudit.storage.store import LARGEST, NewResponse, Query, Receipt, Response
from plaudit.storage.tables import queries, repeats, responses, settings, slots

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


class Reception:
    """Claims, answers and what is shown, for one person at a time; SQLite or Postgres."""

    def __init__(self, session: Session, clock: Callable[[], float] = time.time):
        self._session, self._clock = session, clock
        seed = select(settings.c.value).where(settings.c.name == "seed")
        self._seed = int(session.read(lambda connection: connection.execute(seed).scalar_one()))

    def claim(self, annotator: str, count: int, seconds: float, besides: Sequence[int] = ()) -> list[Query]:
        """Up to `count` questions for this person, as `Store.claim` gives them; one may be a repeat."""
        now = self._clock()
        acceptance.check_claim(annotator, seconds, now)
        known = [id for id in besides if 0 <= id <= LARGEST]

        def action(connection: Connection) -> list[Query]:
            claiming.enter(connection, annotator)
            if known:
                values = {"who": annotator, "until": now + seconds, "known": known}
                connection.execute(RENEW, values)
            ask_again(connection, self._seed, annotator, now + seconds)
            found: list[Query] = []
            while len(found) < count:
                taken = [*known, *(query.id for query in found)]
                query = claiming.claim_one(connection, self._seed, annotator, (now, now + seconds), taken)
                if query is None:
                    break
                found.append(query)
            return found

        return self._session.write(action)

    def may_get(self, annotator: str, besides: Sequence[int] = ()) -> bool:
        """Whether another question is left for this person, be it with somebody else at the moment."""
        values = {"who": annotator, "besides": [id for id in besides if 0 <= id <= LARGEST]}
        return self._session.read(lambda c: c.execute(claiming.LEFT, values).first()) is not None

    def submit(self, response: NewResponse, supersedes: str | None = None) -> Receipt:
        """`Store.submit` for somebody who was asked, whose answer names the options in the order shown.

        It is stored with the options in the order of the question, so that `first` means the same in all answers to
        it. `supersedes` names an own answer by its client_uuid.
        """
        now = float(self._clock())

        def action(connection: Connection) -> Receipt:
            asked = connection.execute(claiming.QUERY, {"query": response.query_id}).one_or_none()
            if asked is None:
                raise acceptance.unknown_query(response.query_id)
            shown = claiming.shown_to(connection, response.query_id, response.annotator)
            if (
                shown is None
                and supersedes is None
                and _may_be_lost(connection, response, rows.to_query(asked))
            ):
                claiming.enter(connection, response.annotator)
                given = rows.to_query(asked), response.annotator, response.shown_order
                shown = claiming.show(connection, self._seed, *given)
            if shown is None:
                raise acceptance.never_shown(response.query_id)
            query = rows.to_query(asked, shown)
            acceptance.check_shown(response, query)
            old = None if supersedes is None else _own(connection, response.annotator, supersedes)
            said = permuted(response.feedback, inverse(shown))
            stored = replace(response, supersedes=old, feedback=said)
            return submitting.submit_checked(connection, stored, query, now)

        return self._session.write(action)

    def release(self, annotator: str, query_id: int) -> None:
        """Give a question back; nothing happens where the person does not hold it, or has answered it."""
        held = (slots.c.query_id == query_id, slots.c.holder == annotator, slots.c.response_id.is_(None))
        mine = exists().where(repeats.c.query_id == slots.c.query_id)  # nobody else may have a repeat
        free = update(slots).where(*held, ~mine).values(holder=None, lease_until=None)
        self._session.write(lambda connection: connection.execute(free))

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
            said = [rows.to_response(row) for row in connection.execute(own)]
            wanted = select(queries).where(queries.c.id.in_([response.query_id for response in said]))
            asked = {row.id: row for row in connection.execute(wanted)}
            return [_as_shown(one, asked[one.query_id]) for one in said]

        return self._session.read(action)

    def may_see(self, annotator: str | None, sha256: str) -> bool:
        """Whether an artifact belongs to a question: one that this person holds or has answered; None: any."""
        like = f"%{sha256}%"
        about = or_(queries.c["items"].like(like), queries.c.payload.like(like))
        own = and_(slots.c.query_id == queries.c.id, slots.c.holder == annotator)
        found = (
            select(queries.c.id).where(about) if annotator is None else select(queries.c.id).where(own, about)
        )
        return self._session.read(lambda connection: connection.execute(found.limit(1)).first()) is not None

    def answered(self) -> dict[str, int]:
        """How many questions each annotator has answered."""
        counted = (
            select(responses.c.annotator, func.count())
            .where(responses.c.supersedes.is_(None))
            .group_by(responses.c.annotator)
        )
        return self._session.read(lambda c: {name: count for name, count in c.execute(counted)})

    def after(self, seq: int, count: int = 1000) -> list[tuple[Response, str]]:
        """The next answers after a number, with their receipts' SHA-256, by seq."""
        later = select(responses).where(responses.c.seq > seq).order_by(responses.c.seq).limit(count)
        return self._session.read(lambda c: [(rows.to_response(row), row.sha256) for row in c.execute(later)])

    def last_at(self) -> float | None:
        """When the newest answer came; None: there is none."""
        newest = select(responses.c.received_at).order_by(responses.c.seq.desc()).limit(1)
        return self._session.read(lambda c: c.execute(newest).scalar_one_or_none())

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
            return rows.to_query(row), None if row.original_id is None else again

        return self._session.read(lambda c: [of(row) for row in c.execute(later)])

    def repeats(self) -> dict[int, int]:
        """The question that each repeat repeats."""
        pairs = select(repeats.c.query_id, repeats.c.original_id)
        return self._session.read(lambda c: {new: old for new, old in c.execute(pairs)})

    def waiting(self) -> tuple[int, int]:
        """How many answers are still wanted, as `Store.pending`, and how many of these somebody is working on."""
        unfilled = slots.c.response_id.is_(None) & FOR_ANYBODY
        leased = func.count().filter(slots.c.lease_until > self._clock())
        counted = select(func.count(), leased).select_from(slots).where(unfilled)
        total, held = self._session.read(lambda connection: connection.execute(counted).one())
        return total, held


def _may_be_lost(connection: Connection, response: NewResponse, query: Query) -> bool:
    """Whether this person may have been shown the question, and the store that knew it was lost since.

    A repeat comes back with its showing, so that one without it is somebody else's.
    """
    whole = sorted(response.shown_order) == list(range(len(query.items)))
    again = select(repeats.c.query_id).where(repeats.c.query_id == query.id)
    return whole and restored.was(connection) and connection.execute(again).first() is None


def _as_shown(said: Response, asked: Row[Any]) -> tuple[Response, Query]:
    feedback = permuted(said.feedback, said.shown_order)
    return replace(said, feedback=feedback), rows.to_query(asked, said.shown_order)


def _own(connection: Connection, annotator: str, client_uuid: str) -> int:
    """The id of an own answer."""
    wanted = (responses.c.client_uuid == client_uuid, responses.c.annotator == annotator)
    id = connection.execute(select(responses.c.id).where(*wanted)).scalar_one_or_none()
    if id is None:
        raise acceptance.unknown_answer(client_uuid)
    return id
