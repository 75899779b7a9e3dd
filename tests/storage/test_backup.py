"""Copies of a store that is in use."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from plaudit.errors import PlauditError
from plaudit.storage import NewQuery, backup
from plaudit.storage.backup import LoggedFeedback
from plaudit.storage.database import open_database
from tests.storage.asking import ask


def test_a_copy_replaces_the_one_of_before_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "feedback.db"
    store = open_database(place).store
    for count in (1, 2):
        ask(store, f"q{count}")
        assert backup.copy(place) == backup.copy_path(place)
        copied = open_database(backup.copy_path(place)).store
        assert copied.queries() == store.queries() and len(copied.queries()) == count
        copied.close()
        assert backup.counts(backup.copy_path(place)) == (count, 0)
    store.close()
    assert not list(tmp_path.glob("*.partial*"))


def test_looking_into_a_copy_leaves_nothing_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "feedback.db"
    open_database(place).store.close()
    backup.copy(place)
    assert backup.counts(backup.copy_path(place)) == (0, 0)
    backup.copy(place)
    assert [file.name for file in tmp_path.glob("feedback.db.*")] == ["feedback.db.copy"]


def test_lists_written_before_questions_had_a_purpose_are_read_by_their_keys(tmp_path: Path) -> None:
    """`questions.jsonl` of an older version lacks the field; the keys of questions said it."""
    place = tmp_path / "feedback.db"
    store = open_database(place).store
    backup.copy(place)
    keys = {"0/1": "train", "held-out/4/1": "held_out", "my/held-out/4/1": "train"}
    store.enqueue([NewQuery(key, "binary", ("a",), 4, {}) for key in keys])
    rows = [{**asdict(query), "repeat": None} for query in store.queries()]
    store.close()
    lines = [json.loads(json.dumps(row)) for row in rows]
    for line in lines:
        del line["purpose"], line["shown_order"]
    backup.restore(place, backup.copy_path(place), LoggedFeedback([("a line", line) for line in lines], []))
    store = open_database(place).store
    assert {query.key: query.purpose for query in store.queries()} == keys
    store.close()


def test_a_purpose_in_the_lists_is_kept_and_a_senseless_one_named(tmp_path: Path) -> None:
    place = tmp_path / "feedback.db"
    open_database(place).store.close()
    backup.copy(place)
    line = {
        "id": 1,
        "key": "held-out/1/1",
        "kind": "binary",
        "items": ["a"],
        "tick": 0,
        "payload": {},
        "wanted": 1,
    }
    for wrong, says in (("exam", "query.purpose"), (3, "`purpose` is damaged")):
        lists = LoggedFeedback([("line 1", line | {"repeat": None, "purpose": wrong})], [])
        with pytest.raises(PlauditError, match=f"line 1: .*{says}"):
            backup.restore(place, backup.copy_path(place), lists)
    backup.restore(
        place,
        backup.copy_path(place),
        LoggedFeedback([("line 1", line | {"repeat": None, "purpose": "gold"})], []),
    )
    store = open_database(place).store
    assert [query.purpose for query in store.queries()] == ["gold"]
    store.close()
