"""Comparisons as JSON lines: read as arrays, and every damaged line is named."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plaudit.errors import PlauditError
from plaudit.readers.arrays import read_comparisons
from plaudit.readers.lines import write_lines


def side(start: float, steps: int = 3) -> dict[str, Any]:
    return {
        "observations": [[start + t, -start] for t in range(steps)],
        "actions": [[0.5 * t] for t in range(steps)],
    }


def row(answer: str = "first", **changes: Any) -> dict[str, Any]:
    given = {
        "kind": "comparison",
        "answer": answer,
        "annotator": "Zoë 李",
        "first": side(1),
        "second": side(2),
    }
    return given | changes


def test_arrays_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    answers = ["first", "skip", "second", "equal", "both_bad"]
    write_lines([row(a, first=side(10 * i), second=side(10 * i + 5)) for i, a in enumerate(answers)], file)
    pairs = read_comparisons(file)
    assert pairs.preference.tolist() == [1.0, 0.0, 0.5]
    assert pairs.observations[0][:, 0, 0].tolist() == [0, 20, 30] and pairs.observations[1][
        1, 2
    ].tolist() == [27, -25]
    assert pairs.actions[0].shape == (3, 3, 1) and pairs.actions[1][0].tolist() == [[0.0], [0.5], [1.0]]
    assert pairs.observations[0].dtype == np.float32


def broken(**changes: Any) -> dict[str, Any]:
    first = side(1) | changes
    return row(first={name: value for name, value in first.items() if value is not None})


wide = {"observations": [[1.0, 2.0, 3.0]] * 3, "actions": [[0.0]] * 3}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"kind": "comparison", ', "not JSON"),
        ("[1]", "one mapping, not list"),
        ("{}", "not a comparison"),
        (json.dumps(row("left")), "not a comparison with an answer"),
        (json.dumps(row(["first"])), "not a comparison with an answer"),
        (json.dumps(row(kind="rating")), "not a comparison"),
        (json.dumps(broken(actions=None)), "`first.actions` is missing"),
        (json.dumps(row(second=3)), "`second.observations` is missing"),
        (json.dumps(broken(observations=[[1, 2], [3]])), "not a rectangular list"),
        (json.dumps(broken(observations=[["a"]])), "not a rectangular list of numbers"),
        (json.dumps(broken(observations=[[1.0, float("nan")]] * 3)), "finite numbers"),
        (json.dumps(broken(observations=[1.0, 2.0, 3.0])), "[steps][...]"),
        (json.dumps(broken(observations=[])), "[steps][...]"),
        (json.dumps(broken(actions=[[0.0]] * 2)), "3 steps of observations but 2 of actions"),
        (json.dumps(row(first=wide)), "another shape"),
        (json.dumps(row(first=wide, second=wide)), "another shape"),
        (json.dumps(broken(observations=[[1e39, 0.0]] * 3)), "finite numbers"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(row()) + "\n\n" + line + "\n")
    with pytest.raises(PlauditError) as caught:
        read_comparisons(file)
    text = str(caught.value)
    assert text.startswith(f"{file}, line 3: ") and sentence in text and "\n" not in text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe{}", "UTF-8"),
        (gzip.compress(b"{}" * 999, mtime=0)[:30], "not readable"),
        (b"\x1f\x8b" + bytes(40), "not readable"),
        (gzip.compress(b"{}\n" * 999, mtime=0)[:10] + bytes(30), "not readable"),
        (b"", "no decided comparison"),
        (json.dumps(row("skip")).encode(), "no decided comparison"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(content)
    with pytest.raises(PlauditError, match=sentence) as caught:
        read_comparisons(file)
    assert str(file) in str(caught.value)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="no such file"):
        read_comparisons(tmp_path / "none.jsonl")
    with pytest.raises(PlauditError, match="not readable"):
        read_comparisons(tmp_path)
