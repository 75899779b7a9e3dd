"""A simulated annotator over HTTP: fetches ahead, thinks, keeps every answer until its receipt is there."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2

FETCHED = 3
LONGEST_WAIT = 2.0
"""Seconds between two tries, at most."""


@dataclass
class Notes:
    """What happened to everybody."""

    receipts: list[dict[str, Any]] = field(default_factory=list)
    given: dict[int, set[str]] = field(default_factory=dict)
    """By question: who got it."""
    latencies: dict[str, list[float]] = field(default_factory=dict)
    """Seconds from request to reply, by path."""
    faults: list[str] = field(default_factory=list)
    tries: int = 0
    unheard: int = 0
    """Requests without a reply: swallowed, or the server was down."""


@dataclass
class Pace:
    """How fast people are; the same for all, changed from outside."""

    think: tuple[float, float] = (2.0, 6.0)
    over: bool = False
    """Fetch nothing more."""


class Annotator:
    """One person. What the server has acknowledged, and nothing else, leaves the outbox."""

    def __init__(self, name: str, http: httpx2.AsyncClient, notes: Notes, pace: Pace, seed: int):
        self.name, self.http, self.notes, self.pace = name, http, notes, pace
        self.generator = random.Random(seed)
        self.held: dict[int, dict[str, Any]] = {}
        self.sent: set[int] = set()

    async def join(self, token: str) -> None:
        """Come in by a link."""
        found = (await self.http.post("/api/join", json={"token": token})).raise_for_status().json()
        me = (await self.http.get("/api/me")).json()
        assert found["name"] == self.name
        self.http.headers["X-Plaudit-CSRF"] = me["csrf"]

    async def work(self) -> None:
        """Until there is no more, or it is time to stop; then nothing is left in the outbox."""
        while not self.pace.over:
            if len(self.held) < FETCHED:
                await self._fetch()
            if not self.held:
                await asyncio.sleep(1.0)
                continue
            task = self.held[min(self.held)]
            await self._think()
            await self._answer(task)
            del self.held[task["query_id"]]

    async def _think(self) -> None:
        """Look again now and then: a burst may have begun."""
        until = time.monotonic() + self.generator.uniform(*self.pace.think)
        while (rest := until - time.monotonic()) > 0 and self.pace.think[1] > 0:
            await asyncio.sleep(min(rest, 0.25))

    async def _fetch(self) -> None:
        body = {"count": FETCHED - len(self.held), "besides": sorted(self.held)}
        for task in (await self._until_heard("/api/tasks", body))["tasks"]:
            if task["query_id"] in self.sent:
                self.notes.faults.append(f"{self.name} got question {task['query_id']} again")
            self.held[task["query_id"]] = task
            self.notes.given.setdefault(task["query_id"], set()).add(self.name)

    async def _answer(self, task: dict[str, Any]) -> None:
        said = self.generator.choice(["first", "first", "second", "second", "equal", "both_bad", "skip"])
        options = [option["sha256"] for option in task["options"]]
        body = {
            "client_uuid": str(UUID(int=self.generator.getrandbits(128), version=4)),
            "query_id": task["query_id"],
            "shown_order": task["shown_order"],
            "feedback": {"kind": "comparison", "options": options, "answer": said},
            "active_ms": self.generator.randrange(10_000),
            "supersedes": None,
        }
        self.notes.receipts.append(await self._until_heard("/api/answers", body))
        self.sent.add(task["query_id"])

    async def _until_heard(self, path: str, body: dict[str, Any]) -> Any:
        """Send until there is a reply, with longer and longer waits."""
        wait = 0.1
        while True:
            self.notes.tries += 1
            began = time.monotonic()
            try:
                reply = await self.http.post(path, json=body)
            except httpx2.TransportError:
                self.notes.unheard += 1
                await asyncio.sleep(wait * self.generator.uniform(0.5, 1.0))
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            self.notes.latencies.setdefault(path, []).append(time.monotonic() - began)
            if reply.status_code == 200:
                return reply.json()
            self.notes.faults.append(f"{self.name}: {path} gave {reply.status_code}: {reply.text[:200]}")
            await asyncio.sleep(wait)
