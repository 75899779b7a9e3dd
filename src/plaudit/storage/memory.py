"""A store in memory: for tests and short experiments; nothing survives the process."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from plaudit.feedback import fields
from plaudit.storage import queue, wire
from plaudit.storage.queue import Claim, Showing
from plaudit.storage.store import (
    LARGEST,
    Command,
    NewQuery,
    NewResponse,
    Query,
    Receipt,
    Response,
    whole,
)


@dataclass
class _Slot:
    """Room for one wanted answer."""

    query_id: int
    holder: str | None = None
    lease_until: float = 0.0

    def open_to(self, annotator: str, now: float) -> bool:
        """Held by this person, or by nobody any more."""
        return self.holder in (None, annotator) or self.lease_until <= now


class _Rows:
    """Lists and dictionaries. Ids are places from 1; see `QueueRows` for the methods."""

    def __init__(self) -> None:
        self.queries: list[Query] = []
        self.responses: list[Response] = []
        self.open: dict[int, _Slot] = {}
        """The slots without an answer, by id, oldest first."""
        self.slots = 0
        """How many there ever were."""
        self._orders: dict[tuple[int, str], tuple[int, ...]] = {}
        self._shown: Counter[tuple[str, int]] = Counter()
        self._receipts: dict[str, Receipt] = {}
        self._superseded: set[int] = set()
        self._answered: set[tuple[str, int]] = set()

    def enter(self, annotator: str) -> None:
        """Nothing: the store lets in one thread at a time."""

    def lease(self, claim: Claim) -> Query | None:
        """Own before oldest."""
        who, besides = claim.annotator, set(claim.besides)
        free = [
            slot
            for slot in self.open.values()
            if slot.open_to(who, claim.now)
            and slot.query_id not in besides
            and (who, slot.query_id) not in self._answered
        ]
        slot = min(free, key=lambda slot: slot.holder != who, default=None)
        if slot is None:
            return None
        slot.holder, slot.lease_until = who, claim.until
        return self.query(slot.query_id)

    def query(self, id: int) -> Query | None:
        return _copy(self.queries[id - 1]) if 1 <= id <= len(self.queries) else None

    def order_shown(self, query_id: int, annotator: str) -> tuple[int, ...] | None:
        return self._orders.get((query_id, annotator))

    def showings(self, annotator: str, options: int) -> int:
        return self._shown[annotator, options]

    def add_showing(self, showing: Showing) -> None:
        self._shown[showing.annotator, len(showing.order)] += 1
        self._orders[showing.query_id, showing.annotator] = showing.order

    def receipt(self, client_uuid: str) -> Receipt | None:
        return self._receipts.get(client_uuid)

    def answer(self, id: int) -> Response | None:
        return self.responses[id - 1] if 1 <= id <= len(self.responses) else None

    def is_superseded(self, id: int) -> bool:
        return id in self._superseded

    def has_answered(self, annotator: str, query_id: int) -> bool:
        return (annotator, query_id) in self._answered

    def free_slot(self, annotator: str, query_id: int, now: float) -> int | None:
        free = [
            id for id, slot in self.open.items() if slot.query_id == query_id and slot.open_to(annotator, now)
        ]
        return min(free, key=lambda id: self.open[id].holder != annotator, default=None)

    def add(self, response: NewResponse, digest: str, slot: int | None, now: float) -> Receipt:
        number = len(self.responses) + 1
        values = {name: getattr(response, name) for name in response.__dataclass_fields__}
        self.responses.append(Response(id=number, seq=number, received_at=now, **values))
        self._answered.add((response.annotator, response.query_id))
        if response.supersedes is not None:
            self._superseded.add(response.supersedes)
        if slot is not None:
            del self.open[slot]
        self._receipts[response.client_uuid] = Receipt(number, number, digest)
        return self._receipts[response.client_uuid]


class MemoryStore:
    """See `Store`: rows under one lock."""

    def __init__(self, seed: int = 0, clock: Callable[[], float] = time.time):
        self._lock = threading.RLock()
        self._seed, self._clock = seed, clock
        self._rows = _Rows()
        self._keys: dict[str, int] = {}
        self._cursors: dict[tuple[str, int], int] = {}
        self._commands: list[Command] = []

    def enqueue(self, queries: Sequence[NewQuery]) -> list[int]:
        """See `Store.enqueue`."""
        payloads = [json.loads(wire.as_object("query.payload", query.payload)) for query in queries]
        with self._lock:
            for query, payload in zip(queries, payloads, strict=True):
                if query.key in self._keys:
                    continue
                id = self._keys[query.key] = len(self._rows.queries) + 1
                values = {name: getattr(query, name) for name in query.__dataclass_fields__}
                _add_query(self._rows, Query(id=id, **{**values, "payload": payload}))
            return [self._keys[query.key] for query in queries]

    def claim(
        self, annotator: str, lease_seconds: float, now: float | None = None, besides: Sequence[int] = ()
    ) -> Query | None:
        """See `Store.claim`."""
        wish = Claim(annotator, lease_seconds, self._clock() if now is None else now, tuple(besides))
        with self._lock:
            return queue.claim(self._rows, self._seed, wish)

    def submit(self, response: NewResponse, now: float | None = None) -> Receipt:
        """See `Store.submit`."""
        with self._lock:
            return queue.submit(self._rows, response, float(self._clock() if now is None else now))

    def view(self, upto: int) -> list[Response]:
        """See `Store.view`."""
        seen = self.answers(0, upto)
        gone = {answer.supersedes for answer in seen}
        return [answer for answer in seen if answer.id not in gone]

    def answers(self, after: int = 0, upto: int = LARGEST) -> list[Response]:
        """See `Store.answers`."""
        with self._lock:
            return self._rows.responses[max(after, 0) : max(upto, 0)]

    def count_answers(self, upto: int = LARGEST) -> int:
        """See `Store.count_answers`."""
        with self._lock:
            return max(0, min(upto, len(self._rows.responses)))

    def pin_cursor(self, reader: str, tick: int) -> int:
        """See `Store.pin_cursor`."""
        key = fields.text("reader", reader), whole("tick", tick, -LARGEST)
        with self._lock:
            return self._cursors.setdefault(key, len(self._rows.responses))

    def queries(self, ids: Sequence[int] | None = None, after: int = 0) -> list[Query]:
        """See `Store.queries`."""
        with self._lock:
            if ids is None:
                return [_copy(query) for query in self._rows.queries[max(after, 0) :]]
            found = {id: self._rows.query(id) for id in ids}
        for id, query in found.items():
            if query is None:
                raise queue.unknown_query(id)
        return [_copy(query) for id in ids if (query := found[id]) is not None]

    def pending(self) -> int:
        """See `Store.pending`."""
        with self._lock:
            return len(self._rows.open)

    def command(self, kind: str, payload: dict[str, Any]) -> int:
        """See `Store.command`."""
        text = wire.as_object("command.payload", payload)
        with self._lock:
            self._commands.append(
                Command(len(self._commands) + 1, fields.text("command.kind", kind), json.loads(text))
            )
            return len(self._commands)

    def commands(self, after: int = 0) -> list[Command]:
        """See `Store.commands`."""
        with self._lock:
            return [_copy(command) for command in self._commands[max(after, 0) :]]

    def close(self) -> None:
        """Nothing to release."""


def _add_query(rows: _Rows, query: Query) -> None:
    """Store a question with its slots."""
    rows.queries.append(query)
    for _ in range(query.wanted):
        rows.slots += 1
        rows.open[rows.slots] = _Slot(query.id)


Stored = TypeVar("Stored", Query, Command)


def _copy(row: Stored) -> Stored:
    """With a payload of its own, as from a database: nobody can change what is stored."""
    return replace(row, payload=json.loads(json.dumps(row.payload)))
