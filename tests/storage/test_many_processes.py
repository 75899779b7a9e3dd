"""Processes that share one database: nothing twice, nothing lost, whoever dies."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from plaudit.storage import open_store
from tests.storage.asking import ask, claimed, reply
from tests.storage.workers import make, work

QUESTIONS, WANTED = 30, 2


@pytest.fixture(autouse=True)
def same_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes find what this one finds, the server that forks workers included."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store may be made."""
    if request.param == "sqlite":
        return str(tmp_path / "feedback.db")
    return request.getfixturevalue("postgres_address")


def _pool(processes: int) -> ProcessPoolExecutor:
    """Processes that share nothing with this one; the server they are forked from imports the store once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "tests.storage.workers"])
    return ProcessPoolExecutor(processes, mp_context=context)


@pytest.mark.slow
def test_eight_processes_answer_everything_once(address: str) -> None:
    store = open_store(address)
    ask(store, *map(str, range(QUESTIONS)), wanted=WANTED)
    people = [f"p{i}" for i in range(8)]
    with _pool(8) as pool:
        futures = {person: pool.submit(work, address, person) for person in people}
        gaps = _watch(store, threading.Event(), list(futures.values()))
        receipts = {person: future.result(120) for person, future in futures.items()}
    history = store.answers()
    assert gaps == []
    assert [r.seq for r in history] == list(range(1, QUESTIONS * WANTED + 1))
    assert set(Counter(r.query_id for r in history).values()) == {WANTED}
    assert len({(r.annotator, r.query_id) for r in history}) == QUESTIONS * WANTED
    promised = {(person, *receipt) for person, own in receipts.items() for receipt in own}
    assert promised == {(r.annotator, r.query_id, r.id, r.seq) for r in history}
    assert store.pending() == 0
    store.close()


def _watch(store, stop: threading.Event, futures: list) -> list[tuple[int, int]]:
    """Read while others write: what lies below a bound is there, and stays the same."""
    wrong = []
    tick = 0
    seen = []
    while not all(future.done() for future in futures):
        tick += 1
        bound = store.pin_cursor("watcher", tick)
        view = store.view(bound)
        if [r.seq for r in view] != list(range(1, bound + 1)) or view[: len(seen)] != seen:
            wrong.append((tick, bound))
        seen = view
        stop.wait(0.02)
    return wrong


@pytest.mark.slow
def test_processes_that_open_a_new_store_at_once_make_one(address: str) -> None:
    with _pool(4) as pool:
        futures = [pool.submit(make, address, seed) for seed in range(4)]
        assert [future.result(120) for future in futures] == [["0"]] * 4


@pytest.mark.slow
def test_every_receipt_survives_a_killed_writer(address: str) -> None:
    store = open_store(address)
    ask(store, *map(str, range(500)))
    promised = []
    for round in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.workers", address, f"p{round}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        with writer:
            assert writer.stdout is not None
            for _ in range(15 + round):
                promised.append(writer.stdout.readline())
            os.kill(writer.pid, signal.SIGKILL)
            promised += writer.stdout.readlines()
        assert writer.returncode == -signal.SIGKILL
    store.close()
    store = open_store(address)
    stored = {r.client_uuid: (r.id, r.seq) for r in store.answers()}
    whole = [line.split() for line in promised if line.endswith("\n")]
    assert len(whole) >= 48
    assert all(stored[uuid] == (int(id), int(seq)) for uuid, id, seq, _ in whole)
    assert len(stored) <= len(whole) + 3  # at most the answer each was at when it died
    assert sorted(seq for _, seq in stored.values()) == list(range(1, len(stored) + 1))
    assert store.submit(reply(claimed(store, "eve"), "eve", "after")).seq == len(stored) + 1
    store.close()
