"""What a question looks like to the browser: the prompt of a file of questions is on it."""

import json
from pathlib import Path

import pytest

from plaudit.stages.label import Items, prepare
from plaudit.storage import open_store
from plaudit.storage.artifacts import Artifacts
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
