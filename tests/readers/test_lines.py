"""Rows of files: bytes survive a round trip, forms are told apart, and every damaged place is named."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import PlauditError
from plaudit.readers.judgements import read_judgements
from plaudit.readers.lines import training_rows, numbered, read_lines, write_lines
from plaudit.readers.texts import read_text_pairs

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


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


def test_half_a_surrogate_pair_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(PlauditError) as caught:
        write_lines([{"a": "é"}, {"a": "x\ud83d"}], tmp_path / "a.jsonl")
    assert "line 2: a text holds half a surrogate pair (\\ud83d)" in str(caught.value)
    assert not list(tmp_path.iterdir())


MESSAGES = [{"role": "user", "content": 'Say "hi",\n{now}\u2028 李 🙂'}]
ROWS = [{"prompt": "a", "n": 1}, {"prompt": MESSAGES, "n": [None, True]}]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("ending", [".jsonl", ".json", ".list.json", ".txt"])
def test_json_of_either_layout(tmp_path: Path, ending: str, ascii_only: bool, packed: bool) -> None:
    """Characters beyond 16 bits are two escapes in ASCII; a .json often holds lines after all."""
    listed = ending == ".list.json"
    text = (
        json.dumps(ROWS, indent=1, ensure_ascii=ascii_only)
        if listed
        else "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in ROWS)
    )
    file = tmp_path / f"a{ending}{'.gz' if packed else ''}"
    file.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    name = "entry" if listed else "line"
    assert list(numbered(file)) == [(f"{file}, {name} {i}", row) for i, row in enumerate(ROWS, 1)]


@pytest.mark.parametrize("packed", [False, True])
def test_cells_and_the_lines_they_begin_at(tmp_path: Path, packed: bool) -> None:
    text = (
        ",prompt,chosen,note\r\n"
        '0,"a, ""b""\n\nc\u2028","[{""role"": ""user"", ""content"": ""{1}\\ud83d\\ude42""}]",[1]\r\n'
        "\r\n"
        "1,[INST] x [/INST],,\r\n"
        '2,"[1, 2]","[{""id"": 1}]","[{""role"": ""user"", ""content"": ""x""}]"\r\n'
        "3,[{x} for x in y],[,[]"
    )
    file = tmp_path / f"a.csv{'.gz' if packed else ''}"
    data = b"\xef\xbb\xbf" + text.encode()
    file.write_bytes(gzip.compress(data) if packed else data)
    assert list(numbered(file)) == [
        (
            f"{file}, line 2",
            {
                "prompt": 'a, "b"\n\nc\u2028',
                "chosen": [{"role": "user", "content": "{1}🙂"}],
                "note": "[1]",
            },
        ),
        (f"{file}, line 6", {"prompt": "[INST] x [/INST]", "chosen": "", "note": ""}),
        (
            f"{file}, line 7",
            {"prompt": "[1, 2]", "chosen": '[{"id": 1}]', "note": '[{"role": "user", "content": "x"}]'},
        ),
        (f"{file}, line 8", {"prompt": "[{x} for x in y]", "chosen": "[", "note": "[]"}),
    ]


def test_lines_of_csv_may_end_with_a_carriage_return(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"a,b\r1,2\r")
    assert list(numbered(file)) == [(f"{file}, line 2", {"a": "1", "b": "2"})]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n', ", line 2: not JSON (Expecting value at column"),
        ("a.jsonl", b'{"a": 1}\n[1]', ", line 2: a line holds one mapping, not list"),
        ("a.jsonl", b"{}\n" + b"[" * 10**5, ", line 2: not JSON that can be read"),
        ("a.jsonl", b'{"a": ' + b"1" * 5000 + b"}", ", line 1: not JSON that can be read"),
        ("a.jsonl", b'{}\n{"a": ["\\uD83D"]}', ", line 2: a text holds half a surrogate pair (\\ud83d)"),
        ("a.jsonl", b'{"\\ude42\\ud83d": 1}', ", line 1: a text holds half a surrogate pair (\\ude42)"),
        ("a.json", b'[{"a": 1},\n {"a": }]', ", line 2: not JSON (Expecting value at column 8)"),
        ("a.json", b'[{"a": 1}, 3]', ", entry 2: an entry of the list is one mapping, not int"),
        ("a.json", b'[{}, {"a": "\\ud800"}]', ", entry 2: a text holds half a surrogate pair"),
        ("a.json", b'{\n"data": []}', ": holds one dict, not a list of mappings"),
        ("a.json", b"", ", line 1: not JSON"),
        ("a.json", b"[" * 10**5, ": not JSON that can be read"),
        ("a.csv", b"a,b\n1,2\n1\n", ", line 3: 1 cells but 2 columns"),
        ("a.csv", b"a,b\n1,2,3\n", ", line 2: 3 cells but 2 columns"),
        ("a.csv", b"a,a\n1,2\n", ", line 1: two columns have one name"),
        ("a.csv", b'a,b\n1,2\n"x\n\n,y\n', ", line 3: not CSV (unexpected end of data)"),
        ("a.csv", b'a\n"x"y\n', ", line 2: not CSV"),
        ("a.csv", b"a\n" + b"x" * 200000, ", line 2: not CSV (field larger than field limit (131072))"),
        ("a.csv", b"prompt\n\"[{'role': 'user', 'content': 'x'}]\"", ", line 2: `prompt` looks like a list of mess"),
        (
            "a.csv",
            b'prompt\n"[{""content"": ""\\udfff"", ""role"": ""user""}]"',
            ", line 2: a text holds half a surrogate pair (\\udfff)",
        ),
        ("a.jsonl", "{}\n{é".encode("latin1"), ": not UTF-8 text (byte 4 of it is 0xe9); convert it, perhaps with `iconv -f latin1 -t utf-8`"),
        ("a.csv", b"\xef\xbb\xbfab\xff", ": not UTF-8 text (byte 5 of it is 0xff)"),
        ("a.csv", "a,b".encode("utf-16"), "`iconv -f utf-16 -t utf-8`"),
        ("a.jsonl", gzip.compress(b"{}" * 999, mtime=0)[:30], ": not readable"),
        ("a.jsonl", b"\x1f\x8b" + bytes(40), ": not readable"),
        ("a.parquet", b"PAR1", "pandas.read_parquet('a.parquet').to_json('a.jsonl', orient='records', lines=True)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(PlauditError) as caught:
        list(numbered(file))
    text = str(caught.value)
    assert text.startswith(str(file)) and sentence in text and "\n" not in text


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv.gz"])
def test_no_file_and_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(PlauditError, match="no such file"):
        list(numbered(tmp_path / name))
    (tmp_path / name).mkdir()
    with pytest.raises(PlauditError, match="not readable"):
        list(numbered(tmp_path / name))


def test_what_measures_is_not_learned_from(tmp_path: Path) -> None:
    """An export holds every standing answer; a reader that teaches leaves out those it marks, and those alone."""
    pair = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
    rows = [pair | {"held_out": said} for said in (True, False, None)] + [pair]
    write_lines(rows, tmp_path / "pairs.jsonl")
    assert [where[-1] for where, _ in training_rows(tmp_path / "pairs.jsonl")] == ["2", "3", "4"]
    assert (
        len(read_text_pairs(tmp_path / "pairs.jsonl")) == len(read_judgements(tmp_path / "pairs.jsonl")) == 3
    )


@pytest.mark.parametrize("said", ["True", "true", " TRUE", "1", "1.0", 1])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_mark_that_became_text_still_holds(tmp_path: Path, said: Any, ending: str) -> None:
    """As other programs write an export that passes through them."""
    taught: list[Any] = ["False", "false", "0", "0.0", ""]
    path = tmp_path / f"pairs.{ending}"
    rows = [
        {"prompt": "Why?", "chosen": "So.", "rejected": "No.", "held_out": one} for one in [said, *taught]
    ]
    if ending == "csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows(rows)
    else:
        write_lines(rows, path)
    assert [row["held_out"] for _, row in training_rows(path)] == taught
    assert len(read_text_pairs(path)) == len(read_judgements(path)) == len(taught)


@pytest.mark.parametrize("said", ["yes", 2, "test", [True]])
def test_a_mark_that_is_neither_is_refused(tmp_path: Path, said: Any) -> None:
    write_lines(
        [{"prompt": "Why?", "chosen": "So.", "rejected": "No.", "held_out": said}], tmp_path / "p.jsonl"
    )
    with pytest.raises(PlauditError, match=r"p\.jsonl, line 1: `held_out` is .*; write true or false"):
        list(training_rows(tmp_path / "p.jsonl"))
