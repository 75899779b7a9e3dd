"""load_feedback: every form, and every way in which a line can be wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plaudit
from plaudit.errors import PlauditError
from tests.api.conftest import pendulum_rows, write

SEGMENT = {"observations": [[0.0, 1.0], [1.0, 0.0]], "actions": [[0.5], [0.1]]}
PROMPT = [{"role": "user", "content": "say it"}]
ANSWER = [{"role": "assistant", "content": "it"}]


def read(tmp_path: Path, *rows: dict[str, Any], **how: Any) -> Any:
    return plaudit.load_feedback(write(tmp_path / "feedback.jsonl", list(rows)), **how)


@pytest.mark.parametrize(
    ("row", "kind", "medium", "said"),
    [
        ({"prompt": "p", "chosen": "a", "rejected": "b"}, "comparison", "text", (1.0,)),
        ({"prompt": PROMPT, "chosen": ANSWER, "rejected": ANSWER}, "comparison", "text", (1.0,)),
        ({"chosen": PROMPT + ANSWER, "rejected": PROMPT + ANSWER}, "comparison", "text", (1.0,)),
        (
            {"kind": "comparison", "prompt": "p", "first": "a", "second": "b", "answer": "equal"},
            "comparison",
            "text",
            (0.5,),
        ),
        (
            {"prompt": "p", "completions": ["a", "b", "c"], "ranks": [1, 3, 1]},
            "ranking",
            "text",
            (1.0, 2.0, 1.0),
        ),
        ({"prompt": "p", "completions": ["a", "b"], "ranks": [4, 0]}, "ranking", "text", (2.0, 1.0)),
        ({"prompt": "p", "completion": "a", "rating": 3}, "rating", "text", (3.0,)),
        ({"prompt": "p", "completion": "a", "rating": 3, "low": 1, "high": 5}, "rating", "text", (3.0,)),
        ({"prompt": "p", "completion": "a", "label": False}, "rating", "text", (0.0,)),
        ({"prompt": PROMPT, "completion": ANSWER, "label": True}, "rating", "text", (1.0,)),
        (
            {"kind": "comparison", "answer": "second", "first": SEGMENT, "second": SEGMENT},
            "comparison",
            "control",
            (0.0,),
        ),
        (
            {"segments": [SEGMENT, SEGMENT, SEGMENT], "ranks": [2, 1, 3]},
            "ranking",
            "control",
            (2.0, 1.0, 3.0),
        ),
        ({"segment": SEGMENT, "rating": 0.5}, "rating", "control", (0.5,)),
        ({"segment": SEGMENT, "label": True}, "rating", "control", (1.0,)),
    ],
)
def test_forms(tmp_path: Path, row: dict[str, Any], kind: str, medium: str, said: tuple[float, ...]) -> None:
    found = read(tmp_path, row)
    assert (found.kind, found.medium, len(found), found.rows[0].said) == (kind, medium, 1, said)
    assert f"1 {kind}s about {medium}" in repr(found)


TEXTS = {"prompt": "p", "completions": ["a", "b"]}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "p"}, "line 2: no judgement in a known form"),
        ({**TEXTS, "ranks": [1]}, "line 2: ranks: 1 ranks for 2 options"),
        ({**TEXTS, "ranks": [1, "x"]}, r"line 2: ranks\[1\]"),
        ({**TEXTS, "ranks": 1}, "line 2: `completions` and `ranks` are lists"),
        (
            {"prompt": "p", "completions": ["a"], "ranks": [1]},
            "line 2: `completions` and `ranks` are lists of two",
        ),
        ({"prompt": "p", "completions": ["a", 3], "ranks": [1, 2]}, r"line 2: `completions\[1\]`"),
        ({"prompt": " ", "completion": "a", "rating": 1}, "line 2: `prompt` is empty"),
        ({"prompt": "p", "completion": "a"}, "line 2: `rating` .* is missing"),
        ({"prompt": "p", "completions": ["", ""], "ranks": [1, 2]}, "line 2: `completions` are all empty"),
        (
            {"prompt": "p", "completion": "a", "rating": "good"},
            "line 2: rating: 'good' is not a finite number",
        ),
        (
            {"prompt": "p", "completion": "a", "rating": 7, "low": 1, "high": 5},
            "line 2: `rating` is 7, off the scale",
        ),
        ({"prompt": "p", "completion": "a", "rating": 7, "low": 1}, "line 2: high: None .* both ends"),
        ({"prompt": "p", "completion": "a", "rating": 7, "low": 5, "high": 1}, "line 2: `high` is 1"),
        ({"answer": "best", "first": SEGMENT, "second": SEGMENT}, "line 2: `answer` is 'best'"),
        (
            {"answer": "first", "first": SEGMENT, "second": {"observations": [[1.0]]}},
            "line 2: `second.actions` is missing",
        ),
        (
            {"segment": {"observations": [[1.0]], "actions": [["x"]]}, "rating": 1},
            "line 2: `segment.actions`",
        ),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(PlauditError, match=said):
        read(tmp_path, {"prompt": "p", "chosen": "a", "rejected": "b"}, row)


def test_files_that_are_missing_empty_or_undecided(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="no such file"):
        plaudit.load_feedback(tmp_path / "nothing.jsonl")
    with pytest.raises(PlauditError, match="there is not a single row in it"):
        read(tmp_path)
    for rows in ([{"prompt": "p", "first": "a", "second": "b", "answer": "skip"}],
                 [{"prompt": "p", "completion": "a", "rating": None}]):  # fmt: skip
        with pytest.raises(PlauditError, match="no answer in it that decides anything"):
            read(tmp_path, *rows)
    (tmp_path / "broken.jsonl").write_text('{"prompt": "p", ')
    with pytest.raises(PlauditError, match=r"broken.jsonl, line 1: not JSON"):
        plaudit.load_feedback(tmp_path / "broken.jsonl")


def test_both_bad_is_a_thumb_down_for_each(tmp_path: Path) -> None:
    found = read(tmp_path, {"answer": "both_bad", "first": SEGMENT, "second": SEGMENT})
    assert found.kind == "rating" and [row.said for row in found.rows] == [(0.0,), (0.0,)]


def test_a_file_of_several_kinds_needs_a_choice(tmp_path: Path) -> None:
    rows = {"prompt": "p", "chosen": "a", "rejected": "b"}, {"prompt": "p", "completion": "a", "label": True}
    with pytest.raises(
        PlauditError, match=r"line 2: a rating, but the first one is a comparison.*kind='rating'"
    ):
        read(tmp_path, *rows)
    assert read(tmp_path, *rows, kind="rating").kind == "rating"
    with pytest.raises(PlauditError, match="there is no ranking in it"):
        read(tmp_path, *rows, kind="ranking")
    with pytest.raises(PlauditError, match="line 2: about control, but the first one is about text"):
        read(tmp_path, rows[0], {"answer": "first", "first": SEGMENT, "second": SEGMENT})


def test_what_is_exported_is_read(tmp_path: Path) -> None:
    rows = pendulum_rows(3)
    found = read(tmp_path, *rows)
    assert len(found) == 3 and found.rows[2].where.endswith("line 3")
    second = found.rows[0].options[1]
    assert np.allclose(second.observations, rows[0]["second"]["observations"])
    assert second.actions.shape == (20, 1)
