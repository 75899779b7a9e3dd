"""Texts people have: every form by hand, prompts parted as slow loops part them, every bad row named, real data."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import PlauditError
from plaudit.readers.dialogues import part_shared
from plaudit.readers.lines import write_lines
from plaudit.readers.texts import (
    TextDemonstration,
    TextPair,
    TextPrompt,
    read_raw,
    read_text_demonstrations,
    read_text_pairs,
    read_text_prompts,
)

TURN = "\n\nAssistant:"
ODD = " é 李\u2028🙂\x85\t\r\n"


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def system(content: str) -> dict[str, str]:
    return {"role": "system", "content": content}


def saved(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), newline="")
    return file


Q, LEAD = [user("q")], [system(""), user("q"), assistant("a"), user("r")]
EXPORTED = {"kind": "comparison", "prompt": "p", "first": "f", "second": "s", "annotator": "Zoë"}
PAIRS: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    # a row; its prompt, chosen, rejected, preference and columns
    (
        {"prompt": ODD, "chosen": ODD + "c", "rejected": ODD, "n": [1]},
        (ODD, ODD + "c", ODD, 1.0, {"n": [1]}),
    ),
    ({"prompt": "p", "chosen": "c", "rejected": " "}, ("p", "c", " ", 1.0, {})),
    ({"prompt": "p", "chosen": "c", "rejected": "c"}, ("p", "c", "c", 1.0, {})),
    (
        {"prompt": LEAD, "chosen": [assistant("c")], "rejected": [assistant(ODD)], "turns": LEAD},
        (tuple(LEAD), (assistant("c"),), (assistant(ODD),), 1.0, {"turns": LEAD}),
    ),
    (  # an answer of several turns; what else a message says is dropped
        {
            "prompt": [{**user("q"), "id": 3}],
            "chosen": [assistant("c"), user("d"), assistant("e")],
            "rejected": [assistant("f")],
        },
        ((user("q"),), (assistant("c"), user("d"), assistant("e")), (assistant("f"),), 1.0, {}),
    ),
    (  # the whole dialogues, plain: the answers begin alike, and their beginning is no part of the prompt
        {"chosen": f"\n\nHuman: q{TURN} ab", "rejected": f"\n\nHuman: q{TURN} ac", "split": "x"},
        (f"\n\nHuman: q{TURN}", " ab", " ac", 1.0, {"split": "x"}),
    ),
    (
        {"prompt": None, "chosen": f"q{TURN} a\n\nHuman: b{TURN} c", "rejected": f"q{TURN} a\n\nHuman: b{TURN} d"},
        (f"q{TURN} a\n\nHuman: b{TURN}", " c", " d", 1.0, {}),
    ),
    (  # they part at a human's turn: both answers begin with the assistant's turn before it
        {"chosen": f"q{TURN} a\n\nHuman: b{TURN} c", "rejected": f"q{TURN} a\n\nHuman: d{TURN} e"},
        (f"q{TURN}", f" a\n\nHuman: b{TURN} c", f" a\n\nHuman: d{TURN} e", 1.0, {}),
    ),
    ({"chosen": f"q{TURN} a", "rejected": f"q{TURN} a"}, (f"q{TURN}", " a", " a", 1.0, {})),
    (
        {"chosen": [*LEAD, assistant("c")], "rejected": [*LEAD, assistant("d")]},
        (tuple(LEAD), (assistant("c"),), (assistant("d"),), 1.0, {}),
    ),
    (
        {"chosen": [*Q, assistant("c")], "rejected": [*Q, assistant("c")]},
        (tuple(Q), (assistant("c"),), (assistant("c"),), 1.0, {}),
    ),
    (  # messages that part at a human's turn
        {"chosen": [*LEAD, assistant("c")], "rejected": [*LEAD[:3], user("s"), assistant("d")]},
        (tuple(LEAD[:2]), (*LEAD[2:], assistant("c")), (LEAD[2], user("s"), assistant("d")), 1.0, {}),
    ),
    (  # UltraFeedback: the prompt again, plain
        {"prompt": "q", "chosen": [*Q, assistant("c")], "rejected": [*Q, assistant("d")], "score_chosen": 7.5},
        (tuple(Q), (assistant("c"),), (assistant("d"),), 1.0, {"score_chosen": 7.5}),
    ),
    ({**EXPORTED, "answer": "first"}, ("p", "f", "s", 1.0, {"annotator": "Zoë"})),
    ({**EXPORTED, "answer": "second"}, ("p", "s", "f", 1.0, {"annotator": "Zoë"})),
    ({**EXPORTED, "answer": "equal"}, ("p", "f", "s", 0.5, {"annotator": "Zoë"})),
    (
        {"prompt": Q, "first": [assistant("f")], "second": [assistant("s")], "answer": "second"},
        (tuple(Q), (assistant("s"),), (assistant("f"),), 1.0, {}),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("row", "wanted"), PAIRS)
def test_a_pair(tmp_path: Path, row: dict[str, Any], wanted: tuple[Any, ...]) -> None:
    file = saved(tmp_path, row)
    assert read_text_pairs(file) == [TextPair(*wanted, where=f"{file}, line 1")]
    (prompt,) = read_text_prompts(file)
    assert prompt.prompt == wanted[0]  # a file of pairs is a file of prompts
    if "answer" not in row:
        (shown,) = read_text_demonstrations(file)
        assert (shown.prompt, shown.completion) == wanted[:2]


def test_undecided_answers_are_left_out(tmp_path: Path) -> None:
    rows = [{**EXPORTED, "answer": a} for a in ("skip", "first", "both_bad", "second", "equal")]
    pairs = read_text_pairs(saved(tmp_path, *rows))
    assert [pair.where[-6:] for pair in pairs] == ["line 2", "line 4", "line 5"]
    with pytest.raises(PlauditError, match="no decided comparison"):
        read_text_pairs(saved(tmp_path, rows[0], rows[2]))
    assert len(read_text_prompts(saved(tmp_path, *rows))) == 5


DEMONSTRATIONS: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({"prompt": ODD, "completion": ODD, "text": "t"}, (ODD, ODD, {"text": "t"})),
    ({"prompt": LEAD, "completion": [assistant("c")]}, (tuple(LEAD), (assistant("c"),), {})),
    ({"messages": [*LEAD, assistant("c")], "prompt": "q"}, (tuple(LEAD), (assistant("c"),), {"prompt": "q"})),
    ({"text": ODD + "t", "n": 2}, (None, ODD + "t", {"n": 2})),
    ({"text": "t", "messages": None, "prompt": None}, (None, "t", {"messages": None, "prompt": None})),
    ({"prompt": "p", "chosen": " "}, ("p", " ", {})),
    ({"prompt": "p", "chosen": "c", "rejected": ""}, ("p", "c", {"rejected": ""})),
    ({"prompt": Q, "chosen": [assistant("c")]}, (tuple(Q), (assistant("c"),), {})),
    ({"prompt": "q", "chosen": [*Q, assistant("c")]}, (tuple(Q), (assistant("c"),), {})),
    ({"chosen": f"q{TURN} c", "rejected": f"q{TURN} d"}, (f"q{TURN}", " c", {})),
]


@pytest.mark.parametrize(("row", "wanted"), DEMONSTRATIONS)
def test_a_demonstration(tmp_path: Path, row: dict[str, Any], wanted: tuple[Any, ...]) -> None:
    file = saved(tmp_path, row)
    assert read_text_demonstrations(file) == [TextDemonstration(*wanted, where=f"{file}, line 1")]
    if wanted[0] is not None:  # the prompts of a file of demonstrations are theirs
        assert [found.prompt for found in read_text_prompts(file)] == [wanted[0]]


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"prompt": ODD, "label": 3, "completion": ""}, (ODD, {"label": 3, "completion": ""})),
        ({"prompt": LEAD}, (tuple(LEAD), {})),
        ({"messages": LEAD, "answer": "7"}, (tuple(LEAD), {"answer": "7"})),
        ({"messages": [*LEAD, assistant("x")]}, (tuple(LEAD), {})),
        ({"prompt": "p", "completion": "c", "messages": LEAD}, ("p", {"completion": "c", "messages": LEAD})),
    ],
)
def test_a_prompt(tmp_path: Path, row: dict[str, Any], wanted: tuple[Any, ...]) -> None:
    file = saved(tmp_path, row)
    assert read_text_prompts(file) == [TextPrompt(*wanted, where=f"{file}, line 1")]


def test_splits(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "split": "train"},
        {"prompt": 7, "split": "test"},  # what is in another split is not looked at
        {"prompt": "b"},
        {"prompt": "c", "split": 3},
        {"prompt": "d", "split": None},
        {"prompt": "e", "split": "train"},
    ]
    file = saved(tmp_path, *rows)
    assert [p.prompt for p in read_text_prompts(file, "train")] == ["a", "e"]
    assert [(p.prompt, p.columns) for p in read_text_prompts(file, "3")] == [("c", {"split": 3})]
    with pytest.raises(
        PlauditError, match="no row of the split 'None'; its splits are '3', 'test', 'train'$"
    ):
        read_text_prompts(file, "None")
    with pytest.raises(PlauditError, match="no row of the split 'dev'; it has no column `split`"):
        read_text_prompts(saved(tmp_path, {"prompt": "a"}), "dev")
    many = saved(tmp_path, *({"prompt": "a", "split": f"{i:03d}" + "x" * 99} for i in range(99)))
    with pytest.raises(PlauditError, match="and 91 more") as caught:
        read_text_prompts(many, "dev")
    assert len(str(caught.value)) < len(str(many)) + 400


def test_csv_gives_the_same_as_json_lines(tmp_path: Path) -> None:
    rows = [
        {"prompt": 'a,\n"b" \'' + ODD, "chosen": "[1, 2]", "rejected": f"x{TURN}"},
        {"prompt": Q, "chosen": [assistant('"c", {d}' + ODD)], "rejected": [assistant("e")]},
    ]
    file = tmp_path / "pairs.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(rows[0])
        for row in rows:
            writer.writerow([v if isinstance(v, str) else json.dumps(v) for v in row.values()])
    plain = read_text_pairs(saved(tmp_path, *rows))
    other = read_text_pairs(file)
    assert [(p.prompt, p.chosen, p.rejected) for p in other] == [
        (p.prompt, p.chosen, p.rejected) for p in plain
    ]


PIECES = st.lists(st.sampled_from([TURN, "\n", "\n\n", "Assistant:", "a", " b", "\n\nHuman: c"]), max_size=7)


@given(PIECES, PIECES, PIECES)
def test_plain_dialogues_are_parted_as_their_turns_are(lead: list[str], a: list[str], b: list[str]) -> None:
    chosen, rejected = "".join(lead + a), "".join(lead + b)
    turns = (chosen.split(TURN), rejected.split(TURN))
    shared: list[str] = []  # turns that are equal and followed by another turn in both
    for one, other in zip(turns[0][:-1], turns[1][:-1], strict=False):
        if one != other:
            break
        shared.append(one)
    rest = [TURN.join(side[len(shared) :]) for side in turns]
    if shared and all(rest):
        prompt = "".join(turn + TURN for turn in shared)
        assert part_shared(chosen, rejected, "here") == (prompt, *rest)
    else:
        with pytest.raises(PlauditError, match="^here: "):
            part_shared(chosen, rejected, "here")


MESSAGE = st.builds(lambda role, content: {"role": role, "content": content},
                    st.sampled_from(["user", "assistant"]), st.sampled_from("xy"))  # fmt: skip
TURNS = st.lists(MESSAGE, max_size=4)


@given(TURNS, TURNS, TURNS)
def test_messages_are_parted_at_the_longest_that_fits(lead: Any, a: Any, b: Any) -> None:
    chosen, rejected = (*lead, *a), (*lead, *b)
    for k in range(7, 0, -1):
        answers = chosen[k:], rejected[k:]
        if chosen[:k] == rejected[:k] and all(side and side[0]["role"] == "assistant" for side in answers):
            assert part_shared(chosen, rejected, "here") == (chosen[:k], *answers)
            return
    with pytest.raises(PlauditError, match="^here: "):
        part_shared(chosen, rejected, "here")


@pytest.mark.parametrize("messages", [False, True])
@pytest.mark.parametrize("exported", [False, True])
def test_one_answer_of_a_pair_may_be_empty(messages: bool, exported: bool, tmp_path: Path) -> None:
    """A model may end at once, and people say what they think of that."""
    prompt, empty, other = (list(Q), [assistant("")], [assistant("r")]) if messages else ("p", "", "r")
    row = {"prompt": prompt, "chosen": other, "rejected": empty}
    if exported:
        row = {"prompt": prompt, "first": empty, "second": other, "answer": "second"}
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps(row) + "\n")
    (pair,) = read_text_pairs(file)
    given = tuple(other) if messages else other
    assert (pair.chosen, pair.rejected) == (given, tuple(empty) if messages else empty)


P, C, R = {"prompt": "p"}, {"chosen": "c"}, {"rejected": "r"}
BAD: list[tuple[Callable[[Path], Any], dict[str, Any], str]] = [
    (read_text_pairs, {}, "not a pair, whose columns are `prompt`, `chosen` and `rejected`;"),
    (read_text_pairs, {**P, **C, "x": 1}, "(found: 'prompt', 'chosen', 'x')"),
    (read_text_pairs, {**P, **C, "rejected": None}, "(found: 'prompt', 'chosen')"),
    (read_text_pairs, {**C, **R}, "share no '\\n\\nAssistant:'"),
    (read_text_pairs, {**P, "chosen": "", "rejected": ""}, "`chosen` and `rejected` are both empty"),
    (read_text_pairs, {**P, **C, "rejected": 3}, "`rejected` is of type int; give text, or a list of messages"),
    (read_text_pairs, {**P, **C, "rejected": {"role": "user"}}, "`rejected` is of type dict"),
    (read_text_pairs, {**C, **R, "prompt": " \n"}, "`prompt` is empty or white space alone"),
    (read_text_pairs, {**C, **R, "prompt": ""}, "`prompt` is empty or white space alone"),
    (read_text_pairs, {**C, **R, "prompt": []}, "`prompt` is a list without a message"),
    (read_text_pairs, {**C, **R, "prompt": ["q"]}, "`prompt[0]` is of type str, not a message"),
    (read_text_pairs, {**C, **R, "prompt": [user("q"), {"role": "user"}]}, "`prompt[1].content` is missing"),
    (read_text_pairs, {**C, **R, "prompt": [{"content": "q"}]}, "`prompt[0].role` is missing"),
    (read_text_pairs, {**C, **R, "prompt": [{"role": " ", "content": "q"}]}, "`prompt[0].role` is ' '"),
    (read_text_pairs, {**C, **R, "prompt": [{"role": "user", "content": []}]}, "`prompt[0].content` is of type list"),
    (read_text_pairs, {**C, **R, "prompt": Q}, "`prompt` is messages but `chosen` is text"),
    (read_text_pairs, {**P, **C, "rejected": [assistant("r")]}, "`prompt` is text but `rejected` is messages"),
    (
        read_text_pairs,
        {**P, "chosen": [*Q, assistant("c")], "rejected": [*Q, assistant("r")]},
        "`prompt` is text but `chosen` is messages",
    ),
    (
        read_text_pairs,
        {"prompt": Q, "chosen": [*Q, assistant("c")], "rejected": [*Q, assistant("r")]},
        "`chosen` begins with a message of the role 'user'",
    ),
    (
        read_text_pairs,
        {"prompt": Q, "chosen": [assistant("c")], "rejected": [assistant("r"), user("s")]},
        "`rejected` ends with a message of the role 'user'",
    ),
    (
        read_text_pairs,
        {"prompt": [*Q, user(" ")], "chosen": [assistant("c")], "rejected": [assistant("r")]},
        "`prompt[1].content` is empty or white space alone",
    ),
    (
        read_text_pairs,
        {"prompt": Q, "chosen": [assistant("")], "rejected": [assistant("")]},
        "`chosen` and `rejected` are both empty",
    ),
    (
        read_text_pairs,
        {"chosen": [*Q, assistant("")], "rejected": [*Q, assistant("r")]},
        "`chosen[0].content` is empty",
    ),
    (read_text_pairs, {"chosen": f"q{TURN}", "rejected": f"q{TURN} r"}, "`chosen` ends where its answer should"),
    (read_text_pairs, {"chosen": f"q{TURN} c", "rejected": f"q{TURN}"}, "`rejected` ends where its answer should"),
    (read_text_pairs, {**C, "rejected": [assistant("r")]}, "one is text and one is messages"),
    (
        read_text_pairs,
        {"chosen": [assistant("c")], "rejected": [assistant("r")]},
        "share no first messages that the assistant answers in both",
    ),
    (read_text_pairs, {**EXPORTED, "answer": "left"}, "not a comparison with an answer (one of first, second,"),
    (read_text_pairs, {**EXPORTED, "answer": ["first"]}, "not a comparison with an answer"),
    (read_text_pairs, {**EXPORTED, "answer": "first", "kind": "rating"}, "not a comparison with an answer"),
    (
        read_text_pairs,
        {**EXPORTED, "answer": "second", "first": "", "second": ""},
        "`second` and `first` are both empty",
    ),
    (
        read_text_pairs,
        {"prompt": "q", "chosen": [*Q, assistant("c")], "rejected": [user("s"), assistant("r")]},
        "`prompt` is text but `chosen` is messages",
    ),
    (read_text_pairs, {**EXPORTED, "answer": "first", "first": {"observations": []}}, "`first` is of type dict"),
    (read_text_prompts, {"text": "t"}, "not a prompt, whose columns are `prompt`; `messages`; or"),
    (read_text_prompts, {"prompt": " "}, "`prompt` is empty or white space alone"),
    (read_text_prompts, {"prompt": True}, "`prompt` is of type bool"),
    (read_text_prompts, {"messages": [*Q, user("")]}, "`messages[1].content` is empty or white space alone"),
    (read_text_prompts, {"messages": "t"}, "`messages` is text; give a list of messages"),
    (read_text_prompts, {"messages": [assistant("a")]}, "`messages` has nothing before the answer"),
    (read_text_demonstrations, {"completion": "c"}, "not a demonstration, whose columns are `prompt` and"),
    (read_text_demonstrations, {**P, "completion": " "}, "`completion` is empty or white space alone"),
    (read_text_demonstrations, {**P, "completion": [assistant("c")]}, "`prompt` is text but `completion` is mess"),
    (read_text_demonstrations, {"prompt": "", "completion": "c"}, "`prompt` is empty or white space alone"),
    (read_text_demonstrations, {"prompt": Q, "completion": [user("c")]}, "`completion` begins with a message of"),
    (read_text_demonstrations, {"messages": Q}, "`messages` ends with a message of the role 'user'"),
    (read_text_demonstrations, {"messages": [assistant("a")]}, "`messages` has nothing before the answer"),
    (read_text_demonstrations, {"messages": [*Q, assistant(" ")]}, "`messages[1].content` is empty or white"),
    (read_text_demonstrations, {"messages": [user(""), assistant("a")]}, "`messages[0].content` is empty or white"),
    (read_text_demonstrations, {"text": "\n"}, "`text` is empty or white space alone"),
    (read_text_demonstrations, {"text": ["t"]}, "`text` is of type list; give text"),
    (read_text_demonstrations, {**P, "chosen": ""}, "`chosen` is empty"),
]  # fmt: skip
GOOD = {"prompt": "p", "chosen": "c", "rejected": "r"}


@pytest.mark.parametrize(("read", "row", "sentence"), BAD)
def test_a_bad_row_is_named(
    tmp_path: Path, read: Callable[[Path], Any], row: dict[str, Any], sentence: str
) -> None:
    file = saved(tmp_path, GOOD, row)
    with pytest.raises(PlauditError) as caught:
        read(file)
    text = str(caught.value)
    assert text.startswith(f"{file}, line 2: ") and sentence in text and "\n" not in text


@pytest.mark.parametrize("read", [read_text_pairs, read_text_prompts, read_text_demonstrations])
def test_a_bad_file_is_named(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    file = tmp_path / "a.jsonl"
    for content, sentence in (
        ("", "not a single row"),
        ("\n\n", "not a single row"),
        ('{"prompt": "p", "chosen": "\\ud83d", "rejected": "r"}', "line 1: a text holds half a surrogate"),
    ):
        file.write_text(content)
        with pytest.raises(PlauditError, match=sentence):
            read(file)


def test_raw_text(tmp_path: Path) -> None:
    for name in ("a.txt", "a.md", "a.txt.gz"):
        data = ("\ufeff" + ODD).encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        assert read_raw(tmp_path / name) == ODD
    (tmp_path / "a.txt").write_text(" \n")
    with pytest.raises(PlauditError, match="there is no text in it"):
        read_raw(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"abc\xe9")
    with pytest.raises(PlauditError, match="byte 3 of it is 0xe9"):
        read_raw(tmp_path / "a.txt")
    with pytest.raises(PlauditError, match=r"raw text is read from \.txt"):
        read_raw(tmp_path / "a.jsonl")


@pytest.mark.slow
def test_other_peoples_pairs(shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "text_pairs" / "hh_pairs.jsonl.gz"
    for read in (read_text_pairs, read_text_prompts, read_text_demonstrations):
        assert [len(read(file, split)) for split in (None, "train", "test")] == [4664, 3761, 903]
    pairs = read_text_pairs(file)
    blank = [p.where.split()[-1] for p in pairs if not (str(p.chosen).strip() and str(p.rejected).strip())]
    assert blank == ["121", "740", "1214", "2063", "2439", "2869", "3278", "3456"]  # compared as they are
    # whole dialogues, as the data are published, part where the prompt ended
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    whole = tmp_path / "whole.jsonl.gz"
    write_lines(({side: r["prompt"] + r[side] for side in ("chosen", "rejected")} for r in rows), whole)
    found = [(p.prompt, p.chosen, p.rejected) for p in read_text_pairs(whole)]
    assert found == [(r["prompt"], r["chosen"], r["rejected"]) for r in rows]


def test_other_peoples_raw_text(shared_data: Path) -> None:
    folder = shared_data / "text_corpus"
    assert read_raw(folder / "tinyshakespeare.txt").startswith("First Citizen:\nBefore we proceed")
    assert len(read_raw(folder / "tinyshakespeare.txt")) == 1115394
    assert len(read_raw(folder / "stories.txt.gz")) > 1_400_000
