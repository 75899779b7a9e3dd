"""The rules of the queue: who gets which question in which order of its options, and which answers are stored.

They are written once, over what a store can look up within one transaction (`QueueRows`), and so are the same in
memory, in SQL and for whoever is served at the pages.
"""

from dataclasses import dataclass, replace
from hashlib import sha256
from math import isfinite
from typing import Protocol

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.storage import answer_log, wire
from plaudit.storage.store import LARGEST, Conflict, NewResponse, Query, Receipt, Response, Unknown

BLOCK = 4
"""Showings in a block of permuted orders."""


@dataclass(frozen=True)
class Claim:
    """Who asks for a question, when, for how long, and what they have at hand already."""

    annotator: str
    seconds: float
    now: float
    besides: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a claim by nobody or for no time; ids that no database holds are nobody's."""
        fields.text("annotator", self.annotator)
        if not (isfinite(self.seconds) and self.seconds > 0 and isfinite(self.now)):
            raise PlauditError(
                f"lease_seconds: {self.seconds!r} from {self.now!r} is not a positive, finite time"
            )
        object.__setattr__(self, "besides", tuple(id for id in self.besides if 0 <= id <= LARGEST))

    @property
    def until(self) -> float:
        """When the lease ends."""
        return self.now + self.seconds


@dataclass(frozen=True)
class Showing:
    """In which order a person sees the options of a question."""

    query_id: int
    annotator: str
    position: int
    """The how manieth this is of the person's showings with so many options, from 0."""
    order: tuple[int, ...]


class QueueRows(Protocol):
    """What a store looks up and writes for the rules; the calls of one claim or answer are one transaction."""

    def enter(self, annotator: str) -> None:
        """Know this person, and let no other transaction act for the same person until this one ends."""
        ...

    def lease(self, claim: Claim) -> Query | None:
        """An own open slot, or else the oldest that nobody holds, becomes this person's; its question."""
        ...

    def query(self, id: int) -> Query | None:
        """A question."""
        ...

    def order_shown(self, query_id: int, annotator: str) -> tuple[int, ...] | None:
        """The order in which this person was shown this question; None where they never claimed it."""
        ...

    def showings(self, annotator: str, options: int) -> int:
        """How many questions with so many options this person has been shown."""
        ...

    def add_showing(self, showing: Showing) -> None:
        """Keep an order."""
        ...

    def receipt(self, client_uuid: str) -> Receipt | None:
        """Of an answer that is stored."""
        ...

    def answer(self, id: int) -> Response | None:
        """A stored answer."""
        ...

    def is_superseded(self, id: int) -> bool:
        """Whether another answer has replaced this one."""
        ...

    def has_answered(self, annotator: str, query_id: int) -> bool:
        """Whether this person has answered this question."""
        ...

    def free_slot(self, annotator: str, query_id: int, now: float) -> int | None:
        """The slot of the question that this person holds, or else the oldest that nobody holds any more."""
        ...

    def add(self, response: NewResponse, digest: str, slot: int | None, now: float) -> Receipt:
        """Store an answer under the next number; it fills the slot where there is one."""
        ...


def claim(rows: QueueRows, seed: int, wish: Claim) -> Query | None:
    """A question for this person; see `Store.claim`."""
    rows.enter(wish.annotator)
    return claim_another(rows, seed, wish)


def claim_another(rows: QueueRows, seed: int, wish: Claim) -> Query | None:
    """The same for somebody who has entered in this transaction."""
    query = rows.lease(wish)
    return None if query is None else show(rows, seed, query, wish.annotator)


def show(
    rows: QueueRows, seed: int, query: Query, annotator: str, order: tuple[int, ...] | None = None
) -> Query:
    """The question in the order this person sees it in: that of the last time, else the given or a balanced one."""
    known = rows.order_shown(query.id, annotator)
    if known is not None:
        return replace(query, shown_order=known)
    count = len(query.items)
    position = rows.showings(annotator, count)
    order = order or shown_order(seed, annotator, count, position)
    rows.add_showing(Showing(query.id, annotator, position, order))
    return replace(query, shown_order=order)


def submit(rows: QueueRows, response: NewResponse, now: float, asked: Query | None = None) -> Receipt:
    """Store an answer; see `Store.submit`. The receipt is good once the transaction has committed.

    `asked`: the question as it was shown to this person, where this transaction has read it already.
    """
    rows.enter(response.annotator)
    digest = wire.digest(response)
    known = rows.receipt(response.client_uuid)
    if known is not None:
        if known.sha256 != digest:
            raise Conflict(
                f"response.client_uuid: {response.client_uuid!r} is stored with another answer; "
                "draw a new one per decision"
            )
        return known
    query = asked or rows.query(response.query_id)
    if query is None:
        raise unknown_query(response.query_id)
    shown = asked.shown_order if asked else rows.order_shown(response.query_id, response.annotator)
    answer_log.check_fit(response, query, shown)
    if response.supersedes is None:
        return rows.add(response, digest, _slot(rows, response, now), now)
    answer_log.check_superseded(
        response, rows.answer(response.supersedes), rows.is_superseded(response.supersedes)
    )
    return rows.add(response, digest, None, now)


def _slot(rows: QueueRows, response: NewResponse, now: float) -> int:
    """The slot that a first answer fills."""
    who, query_id = response.annotator, response.query_id
    if rows.has_answered(who, query_id):
        raise Conflict(
            f"response.query_id: {who!r} has answered query {query_id} already; "
            "name the earlier answer in supersedes to correct it"
        )
    slot = rows.free_slot(who, query_id, now)
    if slot is None:  # every wanted answer has come from, or is leased to, other people
        raise Conflict(f"response.query_id: query {query_id} is with other people now; claim another query")
    return slot


def unknown_query(query_id: int) -> Unknown:
    """There is no such query."""
    return Unknown(f"query {query_id} does not exist in this store")


def shown_order(seed: int, annotator: str, count: int, position: int) -> tuple[int, ...]:
    """The order for this person's showing number `position` (from 0) among those with `count` options.

    Balanced within each person, in permuted blocks of four: within every block each option stands before each other
    one exactly twice (a block is two orders and their two reverses, shuffled), so a preference for a side shows after
    few answers and cancels in the mean.

    A pure function of its arguments, by SHA-256 rather than a generator whose stream may change between versions: the
    same store shows the same orders for ever, whichever database it lives in.
    """
    block, place = divmod(position, BLOCK)
    name = f"{seed}/{count}/{block}/{annotator}"
    orders = []
    for half in range(BLOCK // 2):
        order = _permutation(f"order {half}/{name}", count)
        orders += [order, order[::-1]]
    return orders[_permutation(f"block/{name}", BLOCK)[place]]


def _permutation(name: str, count: int) -> tuple[int, ...]:
    """Every permutation of `count` places equally likely over names."""
    return tuple(sorted(range(count), key=lambda place: sha256(f"{place}/{name}".encode()).digest()))
