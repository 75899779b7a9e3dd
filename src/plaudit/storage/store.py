"""The Store: where queries wait, people claim them, and answers stay for good.

A query is asked of `wanted` people: it has that many *slots*, and an answer fills one. A person claims a slot
for a while (a *lease*), is shown the options in a stored order and submits. Answers are only ever added: a
correction is a new answer that supersedes the old one. `seq` numbers the answers in the order in which they
became visible, without gaps, so a reader that has read up to a seq has read everything up to it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from plaudit.errors import PlauditError
from plaudit.feedback import KINDS, Feedback, fields

LARGEST = 2**63 - 1
"""The largest whole number that databases hold."""

Purpose = Literal["train", "held_out", "repeat", "gold"]
"""What the answers to a question are for. train: the reward is learned from them, and from no others; held_out: they
measure what was learned; repeat: one person is asked again, to see how steady the answers are; gold: what is right is
known, to see how good they are."""
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


class Conflict(PlauditError):
    """What was sent contradicts what is stored; sending it again will not help."""


class Unknown(PlauditError):
    """There is no such thing in this store."""


class NotYours(PlauditError):
    """It is there, but another person's."""


class Busy(PlauditError):
    """It was not stored, and sending it again may work at once."""


class Refused(PlauditError):
    """The database itself would not: a mistake of ours, or a file that is broken."""


class DiskFull(PlauditError):
    """There is no room to store it; what was stored before is safe, and sending again works later."""


@dataclass(frozen=True)
class NewQuery:
    """A question to put to people."""

    key: str
    """Names the question for ever: enqueueing a key again changes nothing."""
    kind: str
    """The kind of feedback wanted, a key of `plaudit.feedback.KINDS`."""
    items: tuple[str, ...]
    """Content hashes of the options."""
    tick: int
    """The update of the trainer that asks."""
    payload: dict[str, Any]
    """What a person needs beside the options, such as the prompt; anything JSON holds."""
    wanted: int = 1
    """From how many people an answer is wanted."""
    purpose: Purpose = "train"

    def __post_init__(self) -> None:
        """Refuse what could never be answered."""
        fields.text("query.key", self.key)
        fields.one_of("query.kind", self.kind, tuple(KINDS))
        least, most = KINDS[self.kind].SHOWN
        fields.options("query.items", self.items, least)
        if most is not None and len(self.items) > most:
            raise PlauditError(f"query.items: a {self.kind} shows {most} options, not {len(self.items)}")
        whole("query.tick", self.tick, -LARGEST)
        whole("query.wanted", self.wanted, 1)
        fields.one_of("query.purpose", self.purpose, PURPOSES)


@dataclass(frozen=True)
class Query:
    """A stored question."""

    id: int
    key: str
    kind: str
    items: tuple[str, ...]
    tick: int
    payload: dict[str, Any]
    wanted: int
    purpose: Purpose = "train"
    shown_order: tuple[int, ...] = ()
    """For the person who claimed it: places in `items` in the order to show them; otherwise empty."""


@dataclass(frozen=True)
class NewResponse:
    """An answer on its way to the store."""

    client_uuid: str
    """Drawn by the client once per decision: sending an answer again is safe and gives the same receipt."""
    query_id: int
    annotator: str
    feedback: Feedback
    shown_order: tuple[int, ...]
    """The order the options were shown in, as the claim gave it; empty where there was no claim."""
    active_ms: int | None = None
    """Milliseconds of activity by the client's monotonic clock; None: not measured."""
    supersedes: int | None = None
    """The id of the own earlier answer that this one replaces."""

    def __post_init__(self) -> None:
        """Refuse what no store could hold."""
        fields.text("response.client_uuid", self.client_uuid)
        fields.text("response.annotator", self.annotator)
        whole("response.query_id", self.query_id, 0)
        if not isinstance(self.feedback, tuple(KINDS.values())):
            raise PlauditError(f"response.feedback: {self.feedback!r} is not one of {', '.join(KINDS)}")
        if not isinstance(self.shown_order, tuple):
            raise PlauditError(f"response.shown_order: {self.shown_order!r} is not a tuple of places")
        for place in self.shown_order:
            whole("response.shown_order", place, 0)
        if self.active_ms is not None:
            whole("response.active_ms", self.active_ms, 0)
        if self.supersedes is not None:
            whole("response.supersedes", self.supersedes, 0)


@dataclass(frozen=True)
class Response:
    """A stored answer."""

    id: int
    seq: int
    """Its number in the order in which answers became visible: 1, 2, 3 ... without gaps."""
    client_uuid: str
    query_id: int
    annotator: str
    feedback: Feedback
    shown_order: tuple[int, ...]
    active_ms: int | None
    supersedes: int | None
    received_at: float
    """Seconds since 1970 by the store's clock; may run backwards where the clock was set back."""


@dataclass(frozen=True)
class Receipt:
    """Proof that an answer is stored for good."""

    response_id: int
    seq: int
    sha256: str
    """Of the answer as `wire.body` writes it."""


@dataclass(frozen=True)
class Command:
    """A stored wish about the run: start, pause, stop, un-learn."""

    id: int
    kind: str
    payload: dict[str, Any]


@runtime_checkable
class Store(Protocol):
    """What trainer, annotators and web server share; safe to use from many threads and processes at once."""

    def enqueue(self, queries: Sequence[NewQuery]) -> list[int]:
        """Store questions, all or none; their ids in order. A known key keeps what was stored first."""
        ...

    def claim(
        self, annotator: str, lease_seconds: float, now: float | None = None, besides: Sequence[int] = ()
    ) -> Query | None:
        """A question for this person, theirs until `now + lease_seconds`; None where there is none.

        What the person already holds comes first, with the same `shown_order` and a fresh lease; then the
        oldest question with a free slot that the person has not answered. A slot whose lease ran out is free
        again. `besides` are ids of questions not to hand out, such as those a client has fetched ahead; `now`
        is in seconds since 1970, None: by the store's clock.
        """
        ...

    def submit(self, response: NewResponse, now: float | None = None) -> Receipt:
        """Store an answer; the receipt comes only after it is on disk.

        The same `client_uuid` again gives the same receipt, with another body `Conflict`. A question that
        does not exist or does not fit the answer is a PlauditError; one that this person has answered
        (without naming it in `supersedes`), or that others hold or have answered meanwhile, is a `Conflict`.
        """
        ...

    def view(self, upto: int) -> list[Response]:
        """The answers that stood when answer number `upto` had come in: without superseded ones, by seq."""
        ...

    def answers(self, after: int = 0, upto: int = LARGEST) -> list[Response]:
        """The answers whose seq is above `after` and at most `upto`, superseded ones too, by seq."""
        ...

    def count_answers(self, upto: int = LARGEST) -> int:
        """How many answers have a seq of at most `upto`, superseded ones too; at no cost that grows with them."""
        ...

    def pin_cursor(self, reader: str, tick: int) -> int:
        """Up to which seq this reader reads at this tick.

        The largest seq at the first call; every later call with the same reader and tick gives the same
        number, so a resumed trainer reads exactly what it read before.
        """
        ...

    def queries(self, ids: Sequence[int] | None = None, after: int = 0) -> list[Query]:
        """The questions with these ids in that order; None: all with an id above `after`, by id."""
        ...

    def pending(self) -> int:
        """How many answers are still wanted; what one person alone is asked again is not among them."""
        ...

    def command(self, kind: str, payload: dict[str, Any]) -> int:
        """Store a wish about the run; its id."""
        ...

    def commands(self, after: int = 0) -> list[Command]:
        """The wishes with an id above `after`, by id."""
        ...

    def close(self) -> None:
        """Release connections and files; safe to call twice."""
        ...


def whole(name: str, value: object, least: int) -> int:
    """A whole number from `least` to what databases hold; True and False are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
        raise PlauditError(f"{name}: {value!r} is not a whole number of {least} or more")
    return value


PAUSE, START, STOP = "pause", "start", "stop"
POLL_SECONDS = 0.5
"""How often a loop that rests looks whether it should go on."""


class Stopped(Exception):
    """Somebody asked the run to stop."""


class Commands:
    """Reads the commands that came since the loop began; those of before were for an earlier process."""

    def __init__(self, store: Store):
        self.store = store
        self.read = max((command.id for command in store.commands()), default=0)
        self.paused = False

    def obey(self) -> None:
        """Take note of what came; returns at once, or after a pause is over. Raises `Stopped`."""
        self._look()
        while self.paused:
            time.sleep(POLL_SECONDS)
            self._look()

    def _look(self) -> None:
        for command in self.store.commands(self.read):
            self.read = command.id
            if command.kind == STOP:
                raise Stopped
            if command.kind in (PAUSE, START):
                self.paused = command.kind == PAUSE
