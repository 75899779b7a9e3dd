"""The log of a store: at every step what the store itself gives, without reading anything twice."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.feedback import Comparison
from plaudit.storage import (
    AnswerLog,
    Conflict,
    MemoryStore,
    NewQuery,
    NewResponse,
    Store,
    open_store,
)
from plaudit.storage.store import LARGEST
from tests.storage.asking import CountingStore, ask, claimed, question, reply

PEOPLE = ("ann", "bob", "eve")

steps = st.one_of(
    st.tuples(st.just("ask"), st.integers(1, 3)),
    st.tuples(st.just("answer"), st.sampled_from(PEOPLE), st.integers(0, 9)),
    st.tuples(st.just("correct"), st.integers(0, 9)),
    st.tuples(st.just("read"), st.integers(-1, 12)),
    st.tuples(st.just("read"), st.just(LARGEST)),
)


@pytest.fixture(scope="module")
def empty() -> Iterator[Path]:
    """The file of an empty store, in memory where the system can, to spare the disk."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    open_store(folder / "empty.db").close()
    yield folder / "empty.db"
    shutil.rmtree(folder)


@pytest.mark.parametrize("make", ["memory", "sqlite"])
@settings(deadline=None, max_examples=40)
@given(program=st.lists(steps, min_size=10, max_size=40))
@pytest.mark.slow
def test_it_holds_what_the_store_gives_at_every_step(
    empty: Path, make: str, program: list[tuple[Any, ...]]
) -> None:
    path = empty.with_name("tried.db")
    shutil.copy(empty, path)
    store = MemoryStore() if make == "memory" else open_store(path)
    try:
        _run(store, [("ask", 2), *program, ("read", LARGEST)])
    finally:
        store.close()


def _run(store: Store, program: list[tuple[Any, ...]]) -> None:
    log, resumed = AnswerLog(store), AnswerLog(store)
    cursor = 0
    for number, (name, *arguments) in enumerate(program):
        if name == "ask":
            store.enqueue([question(f"q{number}/{i}", arguments[0], number) for i in range(2)])
        elif name == "answer":
            _answer(store, f"u{number}", *arguments)
        elif name == "correct":
            _correct(store, f"u{number}", arguments[0])
        else:
            (upto,) = arguments
            new = log.read(upto)
            gone_back = upto < cursor
            assert new == store.answers(0 if gone_back else cursor, upto)
            cursor = min(max(upto, 0), store.count_answers())
            _check(log, store, cursor)
    resumed.read()  # by a process that begins only now
    _check(resumed, store, store.count_answers())
    assert resumed.view == log.view and resumed.open_queries == log.open_queries


def _check(log: AnswerLog, store: Store, cursor: int) -> None:
    """Everything the log says, by the whole store, in slow and obvious ways."""
    assert log.cursor == cursor
    assert log.view == store.view(cursor)
    assert list(log.queries.values()) == store.queries()
    assert all(query.id == id for id, query in log.queries.items())
    for seq in (0, cursor // 2, cursor):
        assert log.after(seq) == store.answers(seq, cursor)
    wanting = []
    for query in store.queries():
        first = [r for r in store.answers(0, cursor) if r.query_id == query.id and r.supersedes is None]
        if len(first) < query.wanted:
            wanting.append(query)
    assert log.open_queries == wanting


def _answer(store: Store, uuid: str, person: str, which: int) -> None:
    """One of the questions in no order, claimed or not; nothing where it is taken."""
    queries = store.queries()
    query = queries[which % len(queries)]
    try:
        said = Comparison((query.items[0], query.items[1]), ("first", "second", "skip")[which % 3])
        store.submit(NewResponse(uuid, query.id, person, said, ()), now=0)
    except Conflict:
        pass


def _correct(store: Store, uuid: str, which: int) -> None:
    """Any answer that stands."""
    standing = store.view(LARGEST)
    if standing:
        old = standing[which % len(standing)]
        said = Comparison(old.feedback.options, "equal")  # type: ignore[union-attr]
        store.submit(NewResponse(uuid, old.query_id, old.annotator, said, (), None, old.id), now=0)


def test_nothing_is_read_twice_and_the_whole_store_never() -> None:
    store = CountingStore()
    log = AnswerLog(store)
    for number in range(10):
        ask(store, f"a{number}", f"b{number}")
        for _ in range(2):
            query = claimed(store, "ann")
            store.submit(reply(query, "ann", f"u{query.id}"))
        assert len(log.read()) == 2 and store.read == 4 * (number + 1)
        assert log.read() == [] and store.read == 4 * (number + 1)
    assert len(log.read(3)) == 3 and len(log.view) == 3  # back, and forth again
    assert [r.seq for r in log.read()] == list(range(4, 21)) and store.read == 40


def test_a_correction_takes_the_place_of_what_it_corrects_at_the_end() -> None:
    store = MemoryStore()
    ask(store, "a", "b")
    query = claimed(store, "ann")
    one = store.submit(reply(query, "ann", "u1"))
    store.submit(reply(claimed(store, "ann"), "ann", "u2"))
    log = AnswerLog(store)
    assert [r.client_uuid for r in log.read()] == [r.client_uuid for r in log.view] == ["u1", "u2"]
    store.submit(reply(query, "ann", "u3", "skip", one.response_id))
    assert [r.client_uuid for r in log.read()] == ["u3"]
    assert [r.client_uuid for r in log.view] == ["u2", "u3"]


def test_the_view_is_the_readers_own() -> None:
    store = MemoryStore()
    ask(store, "a")
    store.submit(reply(claimed(store, "ann"), "ann", "u1"))
    log = AnswerLog(store)
    log.read()
    log.view.clear(), log.open_queries.append(NewQuery("x", "binary", ("a",), 0, {}))  # type: ignore[arg-type]
    assert len(log.view) == 1 and log.open_queries == []
