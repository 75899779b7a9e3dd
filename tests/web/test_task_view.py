"""What a question looks like to the browser: the prompt of a file of questions is on it."""

import json
from pathlib import Path
from typing import Any

import pytest

from plaudit.stages.label import Items, prepare
from plaudit.storage import open_store
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.store import Query
from plaudit.web.task_view import TaskView

TURNS = [{"role": "user", "content": "Why?"}]


@pytest.mark.parametrize(
    ("prompt", "shown"), [("Explain gravity.", "Explain gravity."), (TURNS, TURNS)], ids=["plain", "messages"]
)
def test_the_prompt_of_an_item_is_shown(tmp_path: Path, prompt: object, shown: object) -> None:
    said = ("Things fall.", "No.")
    if not isinstance(prompt, str):
        said = tuple([{"role": "assistant", "content": text}] for text in said)  # type: ignore[assignment]
    row = {"prompt": prompt, "chosen": said[0], "rejected": said[1]}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert prepare(Items(tmp_path / "pairs.jsonl", None, None, 1), tmp_path / "labels") == (1, 0)
    store = open_store(tmp_path / "labels" / "feedback.db")
    query = store.claim("Ada", 60.0)
    assert query is not None
    task = TaskView(Artifacts(tmp_path / "labels" / "artifacts")).task(query)
    assert task["prompt"] == shown
    store.close()


HH = "\n\nHuman: Why?\n\nAssistant:"
TALK = " So.\n\nHuman: *Sure*?\n\nAssistant: Yes."


def seen(
    tmp_path: Path, prompt: object, answers: tuple[object, object], messages: object = None
) -> dict[str, Any]:
    """The task of a comparison."""
    artifacts = Artifacts(tmp_path)
    about = {"prompt": None if messages else prompt, "messages": messages}
    items = tuple(artifacts.put(json.dumps({**about, "completion": answer}).encode()) for answer in answers)
    return TaskView(artifacts).task(
        Query(1, "q", "comparison", items, 0, {"prompt": prompt}, 1, shown_order=(0, 1))
    )


def roles(turns: list[dict[str, Any]]) -> list[str | None]:
    return [turn["role"] for turn in turns]


def test_a_plain_dialogue_is_cut_into_turns_and_kept_as_it_is(tmp_path: Path) -> None:
    task = seen(tmp_path, HH, (TALK, " No."))
    one, two = (option["view"] for option in task["options"])
    assert (task["prompt"], one["text"], two["text"]) == (HH, TALK, " No.")
    assert task["prompt_turns"] == [{"role": "user", "nodes": [["p", {}, "Why?"]]}]
    assert roles(one["turns"]) == ["assistant", "user", "assistant"]
    assert one["turns"][1]["nodes"] == [["p", {}, ["em", {}, "Sure"], "?"]]
    assert two["turns"] == [{"role": None, "nodes": [["p", {}, "No."]]}]


def test_an_answer_about_a_dialogue_is_no_dialogue(tmp_path: Path) -> None:
    task = seen(tmp_path, "Write a dialogue.", (TALK, ""))
    one, two = (option["view"] for option in task["options"])
    assert roles(one["turns"]) == [None] and two["turns"] == [{"role": None, "nodes": []}]


def test_messages_are_turns_and_five_hundred_of_them_too(tmp_path: Path) -> None:
    messages = [{"role": ("user", "assistant")[n % 2], "content": f"Turn **{n}**."} for n in range(500)]
    task = seen(
        tmp_path,
        None,
        ([{"role": "assistant", "content": "`a`"}], [{"role": "odd", "content": "b"}]),
        messages,
    )
    assert len(task["prompt_turns"]) == 500 and roles(task["prompt_turns"][:2]) == ["user", "assistant"]
    assert [roles(option["view"]["turns"]) for option in task["options"]] == [["assistant"], ["odd"]]


def test_what_is_too_large_comes_raw_only(tmp_path: Path) -> None:
    task = seen(tmp_path, "a" * 1_000_000, ("b" * 1_000_000, "c"))
    assert task["prompt_turns"] is None and len(task["prompt"]) == 1_000_000
    one, two = (option["view"] for option in task["options"])
    assert one["turns"] is None and len(one["text"]) == 1_000_000 and two["turns"] is not None


def test_halves_of_characters_can_be_sent(tmp_path: Path) -> None:
    task = seen(tmp_path, "p\ud800", ("a\ud83d", "\x00b"))
    assert json.dumps(task, ensure_ascii=False).encode()
    assert [option["view"]["text"] for option in task["options"]] == ["a?", "\x00b"]
