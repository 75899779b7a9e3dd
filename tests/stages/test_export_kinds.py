"""Whatever people were asked: what they said is exported, and read again as what it was."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from plaudit.errors import PlauditError
from plaudit.feedback import Binary, Comparison, Feedback, Ranking, Rating
from plaudit.models.transitions import Transitions
from plaudit.readers.judgements import Judged, read_judgements
from plaudit.rewards.control import to_bytes
from plaudit.stages.export import export_feedback
from plaudit.stages.label import Items, prepare
from plaudit.stages.verify import verify
from plaudit.storage import Artifacts, NewQuery, NewResponse, open_store

SAID: list[tuple[str, int, Any, tuple[str, tuple[float, ...], Any]]] = [
    ("comparison", 2, lambda o: Comparison(o, "second"), ("comparison", (0.0,), None)),
    ("comparison", 2, lambda o: Comparison(o, "equal"), ("comparison", (0.5,), None)),
    ("ranking", 3, lambda o: Ranking(o, ((2,), (0, 1))), ("ranking", (2.0, 2.0, 1.0), None)),
    ("rating", 1, lambda o: Rating(o[0], "overall", 4, 1, 5), ("rating", (4.0,), (1.0, 5.0))),
    ("binary", 1, lambda o: Binary(o[0], False), ("rating", (0.0,), (0.0, 1.0))),
]
"""Kind, options, answer; then what a reader must find: kind, said, scale."""
SKIPPED: list[tuple[str, int, Any]] = [
    ("comparison", 2, lambda o: Comparison(o, "skip")),
    ("ranking", 3, lambda o: Ranking(o, None)),
    ("rating", 1, lambda o: Rating(o[0], "overall", None, 1, 5)),
    ("binary", 1, lambda o: Binary(o[0], None)),
]
AGAIN: list[tuple[str, int, Any]] = [("comparison", 2, lambda o: Comparison(o, "first"))]
"""A question put to somebody a second time."""


def found(rows: list[Judged]) -> list[tuple[str, tuple[float, ...], Any]]:
    return [(row.kind, row.said, row.scale) for row in rows]


def segment(number: int) -> Transitions:
    """Four steps that carry their number."""
    observations = torch.full((1, 4, 3), number / 4)
    actions = torch.full((1, 4, 1), number / 8)
    return Transitions(observations, actions.clone(), actions, observations.clone(), torch.zeros(1, 4))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A control run whose people said everything that can be said."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"stage": "optimise", "status": "finished"}')
    (folder / "config.yaml").write_text(yaml.safe_dump({"environment": "Pendulum-v1", "timesteps": 10}))
    artifacts, store = Artifacts(folder / "artifacts"), open_store(folder / "feedback.db")
    asked = [(kind, count, make) for kind, count, make, _ in SAID] + SKIPPED + AGAIN
    for number, (kind, count, make) in enumerate(asked):
        options = tuple(artifacts.put(to_bytes(segment(3 * number + i))) for i in range(count))
        again = number >= len(asked) - len(AGAIN)
        key, purpose = ("repeat/ann/0", "repeat") if again else (f"q{number}", "train")
        (query,) = store.enqueue([NewQuery(key, kind, options, 0, {}, purpose=purpose)])
        said: Feedback = make(options)
        store.submit(NewResponse(str(number), query, "ann", said, ()))
    store.close()
    return folder


def test_control(clips: Path, tmp_path: Path) -> None:
    to = tmp_path / "out.jsonl"
    assert export_feedback(clips, to) == len(SAID) + len(SKIPPED) + len(AGAIN)
    rows = read_judgements(to)
    assert found(rows) == [wanted for *_, wanted in SAID]  # and nothing of what was asked again
    for number, (row, (_, count, *_)) in enumerate(zip(rows, SAID, strict=True)):
        assert row.medium == "control" and len(row.options) == count
        for i, option in enumerate(row.options):
            observations, actions = option.observations, option.actions
            assert (observations == np.float32((3 * number + i) / 4)).all() and observations.shape == (4, 3)
            assert (actions == np.float32((3 * number + i) / 8)).all() and actions.shape == (4, 1)
    lines = [json.loads(line) for line in to.read_text().splitlines()]
    assert [line["held_out"] for line in lines] == [False] * (len(lines) - len(AGAIN)) + [True]
    assert verify(clips).faults == []
    with pytest.raises(PlauditError, match="comparisons only"):
        export_feedback(clips, tmp_path / "out.npz")


def test_texts(tmp_path: Path) -> None:
    rows: list[Judged] = []
    for number, (kind, count, make, _) in enumerate(SAID):
        row: dict[str, Any] = {"prompt": f"p{number}"}
        row |= {"completion": "a"} if count == 1 else {"completions": ["a", "b", "c"][:count]}
        items, folder = tmp_path / f"{number}.jsonl", tmp_path / str(number)
        items.write_text(json.dumps(row) + "\n")
        ask: Any = kind
        prepare(Items(items, ask), folder)
        store = open_store(folder / "feedback.db")
        (query,) = store.queries()
        store.submit(NewResponse("1", query.id, "ann", make(query.items), ()))
        store.close()
        export_feedback(folder, tmp_path / f"{number}-out.jsonl")
        rows += read_judgements(tmp_path / f"{number}-out.jsonl")
    assert found(rows) == [wanted for *_, wanted in SAID]
    assert [row.options for row in rows] == [("a", "b"), ("a", "b"), ("a", "b", "c"), ("a",), ("a",)]
    assert [row.prompt for row in rows] == [f"p{number}" for number in range(len(SAID))]


@pytest.mark.parametrize("name", ["completions", "segments"])
def test_rankings_without_an_answer_are_left_out(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.jsonl"
    skipped = {"prompt": "p", name: ["a", "b"], "ranks": None}
    path.write_text(
        json.dumps(skipped) + "\n" + json.dumps({"prompt": "p", "chosen": "a", "rejected": "b"}) + "\n"
    )
    assert found(read_judgements(path)) == [("comparison", (1.0,), None)]
