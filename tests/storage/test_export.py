"""What goes out comes in again, into any store, byte for byte."""

import json
from dataclasses import replace

import pytest

from plaudit.errors import PlauditError
from plaudit.feedback import Rating
from plaudit.storage import MemoryStore, NewQuery, NewResponse, Store, export
from tests.storage.asking import Place, ask, claimed, reply


def _filled(store: Store) -> Store:
    """Questions and answers of several kinds, with corrections, an open question and odd text."""
    ask(store, "a", "b", "未答", wanted=2)
    query = claimed(store, "ann")
    one = store.submit(reply(query, "ann", "u1"), now=1.1)
    store.submit(reply(claimed(store, "bøb"), "bøb", "u2", "skip"), now=0.3)
    store.submit(reply(query, "ann", "u3", "second", supersedes=one.response_id), now=1e9 + 1 / 3)
    store.submit(_rating(store), now=2)
    return store


def _rating(store: Store) -> NewResponse:
    (id,) = store.enqueue([NewQuery("r", "rating", ("x",), 3, {"prompt": "\x00 🙂 \u2028", "n": [1, 0.1]})])
    return NewResponse("u9", id, "ann", Rating("x", "helpful", None, 1, 7), (), None, None)


def test_out_in_out_is_the_same_text(store: Store) -> None:
    """From each make of store to memory and from memory to it."""
    source = _filled(MemoryStore())
    text = list(export.lines(source))
    assert export.load(text, store) == 4
    assert list(export.lines(store)) == text
    back = MemoryStore()
    export.load(export.lines(store), back)
    assert list(export.lines(back)) == text
    assert [r.feedback for r in store.view(99)] == [r.feedback for r in source.view(99)]
    assert store.pending() == source.pending()


def test_the_text_is_stable_and_plain(place: Place) -> None:
    store = _filled(place.open())
    text = list(export.lines(store))
    assert list(export.lines(place.open())) == text
    assert json.loads(text[0]) == {"format": "plaudit feedback", "schema_version": 1}
    assert [next(iter(json.loads(line))) for line in text[1:]] == ["query"] * 4 + ["response"] * 4
    assert json.loads(text[7])["response"] == {
        "client_uuid": "u3",
        "query": "a",
        "annotator": "ann",
        "feedback": {"kind": "comparison", "options": ["a-a", "a-b"], "answer": "second"},
        "shown_order": json.loads(text[5])["response"]["shown_order"],
        "active_ms": 1200,
        "supersedes": "u1",
        "received_at": 1e9 + 1 / 3,
    }


def test_loading_again_changes_nothing_and_numbers_may_differ(store: Store) -> None:
    text = list(export.lines(_filled(MemoryStore())))
    ask(store, "here before")
    store.submit(reply(claimed(store, "dan"), "dan", "u0"))
    export.load(text, store)
    once = (store.history(), store.queries(), store.pending())
    export.load(text, store)
    assert (store.history(), store.queries(), store.pending()) == once
    assert [r.client_uuid for r in once[0]] == ["u0", "u1", "u2", "u3", "u9"]


@pytest.mark.parametrize(
    ("line", "with_what", "says"),
    [
        (1, "{}", "not a feedback export"),
        (1, '{"format":"plaudit feedback","schema_version":2}', "schema version 1"),
        (3, "{", "not JSON"),
        (3, "[]", "not a JSON object"),
        (3, '{"query":{"key":"b"}}', "items"),
        (3, '{"query":{"key":"b","items":["x","y"],"colour":1}}', "colour"),
        (6, '{"response":{}}', "client_uuid"),
        (6, '{"answer":{}}', "response"),
    ],
)
def test_a_bad_line_is_named(line: int, with_what: str, says: str) -> None:
    text = list(export.lines(_filled(MemoryStore())))
    text[line - 1] = with_what
    with pytest.raises(PlauditError, match=rf"answers\.jsonl, line {line}: .*{says}"):
        export.load(text, MemoryStore(), "answers.jsonl")


def test_an_empty_file_is_named() -> None:
    with pytest.raises(PlauditError, match=r"export, line 1"):
        export.load([], MemoryStore())


def test_an_answer_that_contradicts_the_store_is_named(store: Store) -> None:
    text = list(export.lines(_filled(MemoryStore())))
    ask(store, "a")
    query = claimed(store, "ann")
    store.submit(replace(reply(query, "ann", "u1"), active_ms=7))
    with pytest.raises(PlauditError, match=r"line 6: .*u1"):
        export.load(text, store)
