"""The slow, obvious store: lists searched from the start each time, with the flow of a claim and of an answer written
apart from the rules that the real stores share. The others are compared with it."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.storage import Conflict, answer_log, wire
from plaudit.storage.queue import shown_order, unknown_query
from plaudit.storage.store import LARGEST, Command, NewQuery, NewResponse, Query, Receipt, Response, whole


@dataclass
class _Slot:
    """Room for one wanted answer."""

    query_id: int
    holder: str | None = None
    lease_until: float = 0.0
    filled: bool = False

    def open_to(self, annotator: str, now: float) -> bool:
        """Held by this person, or by nobody any more."""
        return not self.filled and (self.holder in (None, annotator) or self.lease_until <= now)


@dataclass
class _Showings:
    """The order each person sees each query in: drawn at the first claim, the same ever after."""

    seed: int
    orders: dict[tuple[int, str], tuple[int, ...]] = field(default_factory=dict)
    positions: Counter[tuple[str, int]] = field(default_factory=Counter)

    def draw(self, query: Query, annotator: str) -> tuple[int, ...]:
        """The order of this person's showing of this query."""
        if (query.id, annotator) not in self.orders:
            count = len(query.items)
            position = self.positions[annotator, count]
            self.positions[annotator, count] += 1
            self.orders[query.id, annotator] = shown_order(self.seed, annotator, count, position)
        return self.orders[query.id, annotator]


class SlowStore:
    """Lists and dictionaries. Ids are places from 1."""

    def __init__(self, seed: int = 0, clock: Callable[[], float] = time.time):
        self._clock = clock
        self._keys: dict[str, int] = {}
        self._queries: list[Query] = []
        self._slots: list[_Slot] = []
        self._shown = _Showings(seed)
        self._responses: list[Response] = []
        self._receipts: dict[str, Receipt] = {}
        self._bounds: dict[tuple[str, int], int] = {}
        self._commands: list[Command] = []

    def enqueue(self, queries: Sequence[NewQuery]) -> list[int]:
        """See `Store.enqueue`."""
        payloads = [json.loads(wire.as_object("query.payload", query.payload)) for query in queries]
        for query, payload in zip(queries, payloads, strict=True):
            if query.key in self._keys:
                continue
            id = self._keys[query.key] = len(self._queries) + 1
            self._queries.append(
                Query(
                    id, query.key, query.kind, query.items, query.tick, payload, query.wanted, query.purpose
                )
            )
            self._slots += [_Slot(id) for _ in range(query.wanted)]
        return [self._keys[query.key] for query in queries]

    def claim(
        self, annotator: str, lease_seconds: float, now: float | None = None, besides: Sequence[int] = ()
    ) -> Query | None:
        """See `Store.claim`."""
        now = self._clock() if now is None else now
        fields.text("annotator", annotator)
        if not 0 < lease_seconds < float("inf"):
            raise PlauditError(
                f"lease_seconds: {lease_seconds!r} from {now!r} is not a positive, finite time"
            )
        done = {answer.query_id for answer in self._responses if answer.annotator == annotator}
        done.update(besides)
        open_slots = (slot for slot in self._slots if slot.open_to(annotator, now))
        free = [slot for slot in open_slots if slot.query_id not in done]
        slot = min(free, key=lambda slot: slot.holder != annotator, default=None)  # own before oldest
        if slot is None:
            return None
        slot.holder, slot.lease_until = annotator, now + lease_seconds
        query = self._queries[slot.query_id - 1]
        return replace(_copy(query), shown_order=self._shown.draw(query, annotator))

    def submit(self, response: NewResponse, now: float | None = None) -> Receipt:
        """See `Store.submit`."""
        digest = wire.sha256(wire.body(response))
        now = self._clock() if now is None else now
        known = self._receipts.get(response.client_uuid)
        if known is not None:
            if known.sha256 != digest:
                raise Conflict(
                    f"response.client_uuid: {response.client_uuid!r} is stored with another answer; "
                    "draw a new one per decision"
                )
            return known
        if not 1 <= response.query_id <= len(self._queries):
            raise unknown_query(response.query_id)
        shown = self._shown.orders.get((response.query_id, response.annotator))
        answer_log.check_fit(response, self._queries[response.query_id - 1], shown)
        _make_room(response, self._slots, self._responses, now)
        number = len(self._responses) + 1
        values = {name: getattr(response, name) for name in response.__dataclass_fields__}
        self._responses.append(Response(id=number, seq=number, received_at=float(now), **values))
        self._receipts[response.client_uuid] = Receipt(number, number, digest)
        return self._receipts[response.client_uuid]

    def view(self, upto: int) -> list[Response]:
        """See `Store.view`."""
        seen = self._responses[: max(upto, 0)]
        gone = {answer.supersedes for answer in seen}
        return [answer for answer in seen if answer.id not in gone]

    def answers(self, after: int = 0, upto: int = LARGEST) -> list[Response]:
        """See `Store.answers`."""
        return [answer for answer in self._responses if after < answer.seq <= upto]

    def count_answers(self, upto: int = LARGEST) -> int:
        """See `Store.count_answers`."""
        return len(self.answers(0, upto))

    def pin_cursor(self, reader: str, tick: int) -> int:
        """See `Store.pin_cursor`."""
        key = fields.text("reader", reader), whole("tick", tick, -(2**63) + 1)
        return self._bounds.setdefault(key, len(self._responses))

    def queries(self, ids: Sequence[int] | None = None, after: int = 0) -> list[Query]:
        """See `Store.queries`."""
        wanted = range(max(after, 0) + 1, len(self._queries) + 1) if ids is None else ids
        for id in wanted:
            if not 1 <= id <= len(self._queries):
                raise unknown_query(id)
        return [_copy(self._queries[id - 1]) for id in wanted]

    def pending(self) -> int:
        """See `Store.pending`."""
        return sum(not slot.filled for slot in self._slots)

    def command(self, kind: str, payload: dict[str, Any]) -> int:
        """See `Store.command`."""
        text = wire.as_object("command.payload", payload)
        self._commands.append(
            Command(len(self._commands) + 1, fields.text("command.kind", kind), json.loads(text))
        )
        return len(self._commands)

    def commands(self, after: int = 0) -> list[Command]:
        """See `Store.commands`."""
        return [_copy(command) for command in self._commands[max(after, 0) :]]

    def close(self) -> None:
        """Nothing to release."""


def _make_room(response: NewResponse, slots: list[_Slot], given: list[Response], now: float) -> None:
    """Fill a slot, or check what is superseded; raises where the answer has no place."""
    if response.supersedes is not None:
        old = next((answer for answer in given if answer.id == response.supersedes), None)
        replaced = any(answer.supersedes == response.supersedes for answer in given)
        answer_log.check_superseded(response, old, replaced)
        return
    own = {answer.query_id for answer in given if answer.annotator == response.annotator}
    if response.query_id in own:
        raise Conflict(
            f"response.query_id: {response.annotator!r} has answered query {response.query_id} already; "
            "name the earlier answer in supersedes to correct it"
        )
    mine = [slot for slot in slots if slot.query_id == response.query_id]
    free = [slot for slot in mine if slot.open_to(response.annotator, now)]
    if not free:
        raise Conflict(
            f"response.query_id: query {response.query_id} is with other people now; claim another query"
        )
    slot = min(free, key=lambda slot: slot.holder != response.annotator)
    slot.holder, slot.filled = response.annotator, True


Stored = TypeVar("Stored", Query, Command)


def _copy(row: Stored) -> Stored:
    """With a payload of its own, as from a database: nobody can change what is stored."""
    return replace(row, payload=json.loads(json.dumps(row.payload)))
