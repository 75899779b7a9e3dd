"""The stores, in memory and SQL, and a slow one written apart must agree on every outcome of any sequence of
operations, errors included."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import PlauditError
from plaudit.feedback import Binary, Comparison, Feedback
from plaudit.feedback.comparison import Answer
from plaudit.storage import MemoryStore, NewQuery, NewResponse, Query, Store, open_store
from plaudit.storage.store import PURPOSES
from tests.storage.slow_store import SlowStore

PEOPLE = ("ann", "bob", "eve")

people = st.sampled_from(PEOPLE)
keys = st.sampled_from("abcdef")
times = st.integers(0, 12)
small = st.integers(0, 7)

answers = st.tuples(
    st.just("answer"), people, st.sampled_from(("first", "second", "skip")), st.booleans(), st.integers(0, 4)
)

operations = st.one_of(
    answers,
    answers.map(lambda operation: ("correct", *operation[1:])),
    st.tuples(st.just("claim"), people, st.integers(1, 15), st.lists(small, max_size=2)),
    st.tuples(st.just("enqueue"), st.lists(st.tuples(keys, st.booleans(), st.integers(1, 3)), max_size=4)),
    st.tuples(st.just("anything"), people, small, st.booleans(), st.sampled_from((None, None, 1, 2, 4, 9))),
    st.tuples(st.just("replay"), small),
    st.tuples(st.just("pin_cursor"), st.sampled_from(("trainer", "report")), st.integers(0, 3)),
    st.tuples(st.just("view"), st.integers(-1, 12)),
    st.tuples(st.just("answers"), st.integers(-1, 12), st.integers(-1, 12)),
    st.tuples(st.just("count_answers"), st.integers(-1, 12)),
    st.tuples(st.just("queries"), st.none(), st.integers(-1, 6)),
    st.tuples(st.just("wait"), times),
    st.tuples(st.just("command"), st.sampled_from(("pause", ""))),
    st.tuples(st.just("reopen")),
)

START = ("enqueue", [("a", False, 1), ("b", True, 1), ("c", False, 1), ("d", True, 2)])


@pytest.fixture(scope="module")
def empty() -> Iterator[Path]:
    """The file of an empty store, in memory where the system can, to spare the disk."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    open_store(folder / "empty.db").close()
    yield folder / "empty.db"
    shutil.rmtree(folder)


@settings(deadline=None, max_examples=30)
@given(st.lists(operations, min_size=20, max_size=40))
@pytest.mark.slow
def test_all_agree(empty: Path, program: list[tuple]) -> None:
    path = empty.with_name("tried.db")
    shutil.copy(empty, path)
    made: list[Store] = [SlowStore(), MemoryStore(), open_store(path)]
    try:
        _run(made, [START, *program], path)
    finally:
        made[-1].close()


def _run(made: list[Store], program: list[tuple], path: Path) -> None:
    now, sent, held, numbers = 0.0, [], {}, {}
    for number, (name, *arguments) in enumerate(program):
        if name == "wait":
            now += arguments[0]
        elif name == "reopen":
            made[-1].close()
            made[-1] = open_store(path)
        elif name == "enqueue":
            queries = [_query(*some, tick=number) for some in arguments[0]]
            _all(made, lambda store, queries=queries: store.enqueue(queries))
        elif name in ("claim", "answer"):
            person, seconds, besides = arguments if name == "claim" else (arguments[0], 10, [])
            if name == "claim" or person not in held or arguments[2]:
                query = _all(
                    made, lambda store, p=person, s=seconds, b=besides, t=now: store.claim(p, s, t, b)
                )
                held = held if query is None else {**held, person: query}
        if name in ("answer", "correct", "anything", "replay"):
            response = _response(name, arguments, number, held, sent)
            if response is not None:
                if name == "correct":
                    response = replace(response, supersedes=numbers.get(response.supersedes, 99))
                sent.append(response)
                receipt = _all(made, lambda store, r=response, t=now: store.submit(r, t))
                if receipt is not None:
                    numbers[len(sent)] = receipt.response_id
        elif name in ("pin_cursor", "view", "command", "answers", "count_answers", "queries"):
            _all(
                made,
                lambda store, n=name, a=arguments: getattr(store, n)(*a, *([{}] if n == "command" else [])),
            )
        _all(made, lambda store: [store.answers(), store.pending(), store.count_answers()])
    _all(made, lambda store: [store.queries(), store.commands()])
    _laws(made[-1])


def _query(key: str, binary: bool, wanted: int, tick: int) -> NewQuery:
    items = (key,) if binary else (key, f"{key}2")
    return NewQuery(
        key, "binary" if binary else "comparison", items, tick, {"n": wanted}, wanted, PURPOSES[wanted % 4]
    )


def _response(name: str, arguments: list, number: int, held: dict, sent: list) -> NewResponse | None:
    """`answer`: what the person claimed last; `correct`: what they sent; `replay`: again; or anything."""
    if name == "replay":
        return sent[arguments[0] % len(sent)] if sent else None
    person = arguments[0]
    if name == "answer" and person in held:
        query = held[person]
        return NewResponse(
            f"u{number}", query.id, person, _said(query, arguments[1]), query.shown_order, number
        )
    if name == "correct":
        own = [place for place, response in enumerate(sent, 1) if response.annotator == person]
        if not own:
            return None
        place = own[arguments[3] % len(own)]  # the caller turns the place into the id that was given
        return replace(sent[place - 1], client_uuid=f"u{number}", supersedes=place)
    if name == "anything":
        _, query_id, good, supersedes = arguments
        key = "abcdef"[(query_id - 1) % 6]
        return NewResponse(f"u{number // 2}", query_id, person, Binary(key, good), (), None, supersedes)
    return None


def _said(query: Query, answer: Answer) -> Feedback:
    if len(query.items) == 1:
        return Binary(query.items[0], {"first": True, "second": False}.get(answer))
    return Comparison((query.items[0], query.items[1]), answer)


def _all(made: list[Store], action: Callable[[Store], Any]) -> Any:
    """The outcome of all, which must be one."""
    outcomes = []
    for store in made:
        try:
            outcomes.append(action(store))
        except PlauditError as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    return None if isinstance(outcomes[0], tuple) else outcomes[0]


def _laws(store: Store) -> None:
    """What holds after anything."""
    history = store.answers()
    assert [r.seq for r in history] == list(range(1, len(history) + 1))
    first = [r for r in history if r.supersedes is None]
    assert len({(r.annotator, r.query_id) for r in first}) == len(first)
    wanted = {query.id: query.wanted for query in store.queries()}
    assert store.pending() == sum(wanted.values()) - len(first)
    assert all(sum(r.query_id == id for r in first) <= most for id, most in wanted.items())
    assert len(store.view(len(history))) == len(first)
