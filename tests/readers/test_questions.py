"""Rows people have as questions: which kind, which texts, and nothing of what the row already says."""

import json
from pathlib import Path
from typing import Any

import pytest

from plaudit.errors import PlauditError
from plaudit.readers.judgements import read_questions

USER = [{"role": "user", "content": "Hi"}]


def turn(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


@pytest.fixture
def write(tmp_path: Path):
    def one(*rows: Any) -> Path:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return one


def test_forms(write) -> None:
    found = read_questions(
        write(
            {"prompt": "p", "chosen": "a", "rejected": "b", "id": 7},
            {"chosen": USER + turn("a"), "rejected": USER + turn("b")},
            {"prompt": "p", "first": "a", "second": "b", "answer": "first"},
            {"prompt": "p", "completions": ["a", "b", "c"]},
            {"prompt": "p", "completions": ["a", "b"]},
            {"prompt": "p", "completion": "a", "label": True},
        )
    )
    assert [one.kind for one in found] == [
        "comparison", "comparison", "comparison", "ranking", "comparison", "rating"
    ]  # fmt: skip
    assert [one.options for one in found][:2] == [("a", "b"), (tuple(turn("a")), tuple(turn("b")))]
    assert found[1].prompt == tuple(USER)
    assert [one.columns for one in found] == [{"id": 7}, {}, {"answer": "first"}, {}, {}, {"label": True}]
    assert found[3].where.endswith("rows.jsonl, line 4")


def test_a_row_can_be_asked_otherwise(write) -> None:
    assert read_questions(write({"prompt": "p", "completion": "a"}), "binary")[0].kind == "binary"
    assert (
        read_questions(write({"prompt": "p", "chosen": "a", "rejected": "b"}), "ranking")[0].kind == "ranking"
    )


@pytest.mark.parametrize(
    ("row", "ask", "said"),
    [
        ({"prompt": "p"}, None, "not a question"),
        ({"prompt": "p", "completions": ["a"]}, None, "2 to 12"),
        ({"prompt": "p", "completions": "ab"}, None, "2 to 12"),
        ({"prompt": "p", "completions": ["a", 3]}, None, r"completions\[1\]"),
        ({"prompt": "p", "completion": "a"}, "comparison", "rating or binary"),
        ({"prompt": "p", "chosen": "a", "rejected": "b"}, "binary", "comparison or ranking"),
        ({"prompt": " ", "chosen": "a", "rejected": "b"}, None, "empty"),
        ({"prompt": "p", "chosen": "a", "rejected": ""}, None, "empty"),
        ({"prompt": "p", "chosen": "a", "rejected": turn("b")}, None, "text"),
    ],
    ids=str,
)
def test_rows_that_cannot_be_asked_name_the_line(write, row: Any, ask: Any, said: str) -> None:
    with pytest.raises(PlauditError, match=f"rows.jsonl, line 1: .*{said}"):
        read_questions(write(row), ask)
