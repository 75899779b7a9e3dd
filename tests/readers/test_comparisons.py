"""Comparisons as JSON lines: bytes survive a round trip, and every damaged line is named."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import PlauditError
from plaudit.readers.comparisons import read_comparisons, read_lines, write_lines

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


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


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_writing_what_was_read_gives_the_same_bytes(tmp_path: Path, ending: str) -> None:
    numbers = iter(range(10**6))

    @given(st.lists(st.dictionaries(st.text(max_size=5), PLAIN, max_size=4), max_size=4))
    @settings(max_examples=40, deadline=None, derandomize=True)
    def same_bytes(rows: list[dict[str, Any]]) -> None:
        one, other = (tmp_path / f"{next(numbers)}{ending}" for _ in range(2))
        assert write_lines(rows, one) == len(rows)
        assert list(read_lines(one)) == rows
        write_lines(read_lines(one), other)
        assert one.read_bytes() == other.read_bytes()
        assert (one.read_bytes()[:2] == b"\x1f\x8b") == ending.endswith("gz")

    same_bytes()


def test_a_line_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write_lines([{"b": [1, 0.1], "a": "é\u2028\n"}], file)
    assert file.read_bytes() == '{"a":"é\u2028\\n","b":[1,0.1]}\n'.encode()
    assert list(tmp_path.iterdir()) == [file]


def test_an_existing_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("mine")
    with pytest.raises(PlauditError, match="exists already"):
        write_lines([], file)
    assert file.read_text() == "mine"


def test_a_row_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Any:
        yield {"a": 1}
        raise PlauditError("the second row")

    with pytest.raises(PlauditError, match="the second row"):
        write_lines(rows(), tmp_path / "a.jsonl")
    assert not list(tmp_path.iterdir())


def test_other_peoples_files_are_read_too(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(
        '\ufeff{"a": 1}\r\n\r\n{"b":\t[2]}'.encode()
    )  # byte order mark, Windows lines, no last end
    assert list(read_lines(file)) == [{"a": 1}, {"b": [2]}]
    named = tmp_path / "b.jsonl"  # compressed whatever its name says
    named.write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert list(read_lines(named)) == [{"a": 1}]


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
        (json.dumps(row(first=side(1, 2))), "another shape"),
        (json.dumps(row(first=side(1, 2), second=side(1, 2))), "another shape"),
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
