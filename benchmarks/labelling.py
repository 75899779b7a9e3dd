"""Fifty people label over HTTP while the server is killed again and again and the network swallows replies.

    python -m benchmarks.labelling [--seconds 300] [--people 50] [--kills 20] [--drop 0.2]

Counted: acknowledged answers that are lost or stored twice, questions given to more people than wanted, replies of 5xx
(all must be 0), and how long replies take (p99 at most 250 ms). Writes results/labelling.md; exit status 1 where
anything must not be.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx2

from benchmarks.annotating import Annotator, Notes, Pace
from benchmarks.dropping import DroppingProxy
from benchmarks.machine import RESULTS, described
from plaudit.stages.verify import verify
from plaudit.storage import Artifacts, NewQuery, open_store
from plaudit.storage.store import LARGEST

LIMIT_MS = 250.0
WANTED = (1, 1, 2)
"""From how many people an answer is wanted, in turns."""
BURST_SECONDS = 3.0
BURSTS = 2
"""Times when everybody answers without thinking."""


@dataclass(frozen=True)
class Load:
    """What is done to the server."""

    seconds: float
    people: int
    kills: int
    drop: float
    seed: int = 0


def make_folder(folder: Path, count: int) -> None:
    """Questions about texts."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"stage": "label", "status": "running"}))
    artifacts, store = Artifacts(folder / "artifacts"), open_store(folder / "feedback.db")
    texts = [
        artifacts.put(
            json.dumps({"prompt": "Why?", "messages": None, "completion": f"Because {i}."}).encode()
        )
        for i in range(200)
    ]
    pairs = random.Random(1)
    store.enqueue(
        [
            NewQuery(f"q{i}", "comparison", tuple(pairs.sample(texts, 2)), 0, {}, WANTED[i % len(WANTED)])
            for i in range(count)
        ]
    )
    store.close()


class Server:
    """The server's process, started again after every kill."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.process: asyncio.subprocess.Process | None = None
        self.port = 0
        self.down: list[float] = []
        """Seconds from a kill to the next answer."""

    async def start(self) -> str:
        """Start it; the token of the link that it prints."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "plaudit.cli.main", "serve", str(self.folder)),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        text = (await self.process.stdout.readline() + await self.process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", text)
        assert found, f"the server did not start: {text}"
        self.port = int(found.group(1))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as http:
            while True:
                try:
                    (await http.get("/api/health")).raise_for_status()
                    return text.strip().rpartition("#")[2]
                except httpx2.TransportError:
                    await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """kill -9, then start again."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        await self.start()
        self.down.append(time.monotonic() - began)

    async def stop(self) -> None:
        """Ctrl-C."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        await self.process.wait()


async def invited(server: Server, token: str, count: int) -> list[str]:
    """Links for everybody, made by the admin."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
        (await http.post("/api/join", json={"token": token})).raise_for_status()
        headers = {"X-Plaudit-CSRF": (await http.get("/api/me")).json()["csrf"]}
        links = []
        for i in range(count):
            body = {"role": "annotator", "name": f"person {i}"}
            reply = (await http.post("/api/invitations", json=body, headers=headers)).raise_for_status()
            links.append(reply.json()["link"].rpartition("#")[2])
        return links


async def run(folder: Path, load: Load) -> tuple[Notes, Server, DroppingProxy]:
    """All of it."""
    server, notes, pace = Server(folder), Notes(), Pace()
    tokens = await invited(server, await server.start(), load.people)
    proxy = DroppingProxy(server.port, 0.0, random.Random(load.seed))
    await proxy.start()
    people = [
        Annotator(f"person {i}", httpx2.AsyncClient(base_url=proxy.address, timeout=30), notes, pace, i)
        for i in range(load.people)
    ]
    for person, token in zip(people, tokens, strict=True):
        await person.join(token)
    proxy.share = load.drop
    working = [asyncio.create_task(person.work()) for person in people]
    trouble = [asyncio.create_task(_kill(server, load)), asyncio.create_task(_burst(pace, load.seconds))]
    await asyncio.sleep(load.seconds)
    await asyncio.gather(*trouble)
    pace.over, pace.think = True, (0.0, 0.0)
    await asyncio.gather(*working)
    for person in people:
        await person.http.aclose()
    proxy.stop()
    await server.stop()
    return notes, server, proxy


async def _kill(server: Server, load: Load) -> None:
    """Evenly, with a little chance in it."""
    began, chance = time.monotonic(), random.Random(load.seed + 1)
    for number in range(load.kills):
        at = load.seconds * (number + chance.uniform(0.3, 0.7)) / load.kills
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        await server.kill()


async def _burst(pace: Pace, seconds: float) -> None:
    think = pace.think
    for _ in range(BURSTS):
        await asyncio.sleep(seconds / (BURSTS + 1) - BURST_SECONDS)
        pace.think = (0.0, 0.0)
        await asyncio.sleep(BURST_SECONDS)
        pace.think = think


def judged(folder: Path, notes: Notes) -> list[str]:
    """What must not be."""
    receipts = folder / "receipts.jsonl"
    receipts.write_text("".join(json.dumps(receipt) + "\n" for receipt in notes.receipts))
    faults = [*notes.faults, *verify(folder, receipts).faults]
    store = open_store(folder / "feedback.db")
    history, wanted = store.answers(), {query.id: query.wanted for query in store.queries()}
    view = store.view(LARGEST)
    store.close()
    counts = Counter(response.query_id for response in view)
    faults += [f"question {id} has {n} answers" for id, n in counts.items() if n > wanted[id]]
    faults += [f"question {id} went to {who}" for id, who in notes.given.items() if len(who) > wanted[id]]
    twice = Counter((response.annotator, response.query_id) for response in history)
    faults += [f"stored twice: {who}" for who, n in twice.items() if n > 1]
    told = {receipt["client_uuid"] for receipt in notes.receipts}
    if len(told) != len(history):
        faults.append(f"{len(history)} answers are stored, but {len(told)} were acknowledged")
    return faults


def percentile(values: list[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def main() -> int:
    """Run it and write down what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in (("seconds", 300.0), ("drop", 0.2), ("people", 50), ("kills", 20), ("seed", 0)):
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--write", action="store_true", help="write results/labelling.md")
    given = parser.parse_args()
    load = Load(given.seconds, given.people, given.kills, given.drop, given.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "labels"
        make_folder(folder, max(500, int(load.people * load.seconds)))
        notes, server, proxy = asyncio.run(run(folder, load))
        faults = judged(folder, notes)
    everything = [latency for values in notes.latencies.values() for latency in values]
    lines = [
        f"{load.people} people, {load.seconds:.0f} s, {len(server.down)} kills, {proxy.dropped} of "
        f"{proxy.dropped + proxy.passed} replies swallowed: {len(notes.receipts)} answers acknowledged in "
        f"{notes.tries} tries ({notes.unheard} unheard).",
        f"Down after a kill: {max(server.down, default=0):.1f} s at most.",
        *(
            f"`{path}`: p50 {percentile(values, 0.5):.0f} ms, p99 {percentile(values, 0.99):.0f} ms ({len(values)})"
            for path, values in [*sorted(notes.latencies.items()), ("all", everything)]
        ),
        f"Faults: {len(faults)}. p99 must be at most {LIMIT_MS:.0f} ms.",
    ]
    print("\n".join([*lines, *faults[:20]]))
    if given.write:
        head = (
            "# Labelling under load\n\n" + described("plaudit", "fastapi", "uvicorn", "sqlalchemy") + "\n\n"
        )
        (RESULTS / "labelling.md").write_text(head + "\n".join(f"- {line}" for line in lines) + "\n")
    return int(bool(faults) or percentile(everything, 0.99) > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
