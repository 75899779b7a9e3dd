"""What is read of a run folder, against loops and examples by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plaudit.feedback import Comparison
from plaudit.report import data
from plaudit.runs.folder import RunFolder
from plaudit.storage import open_store
from plaudit.storage.store import NewQuery, NewResponse
from tests.report.made_language_run import FALLING, WATCHED, Made, aged, make, plain_rows


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.integers(1, 9))
def test_smoothing_is_a_mean_over_neighbours(values: list[float], width: int) -> None:
    slow = []
    for i in range(len(values)):
        near = [values[j] for j in range(i - width // 2, i + (width + 1) // 2) if 0 <= j < len(values)]
        slow.append(sum(near) / len(near))
    assert data.smoothed(np.array(values), width) == pytest.approx(slow, abs=1e-9)


ROWS = (
    {"timesteps": 10, "rollout/ep_rew_mean": 1.0, "feedback/labels": 5},
    {"timesteps": 20, "feedback/labels": 5},
    {"timesteps": 30, "rollout/ep_rew_mean": 3.0, "feedback/labels": 5},
    {"timesteps": 40, "rollout/ep_rew_mean": 5.0, "feedback/labels": 9},
    {"timesteps": 50, "rollout/ep_rew_mean": float("nan"), "feedback/labels": 9},
    {"timesteps": 60, "rollout/ep_rew_mean": 8.0, "feedback/labels": 9},
)


def test_series_and_rounds_by_hand() -> None:
    steps, values = data.series(ROWS, "rollout/ep_rew_mean")
    assert (steps.tolist(), values.tolist()) == ([10, 30, 40, 60], [1, 3, 5, 8])
    assert data.rounds(ROWS).tolist() == [10, 40]
    assert [x.tolist() for x in data.return_by_labels(ROWS)] == [[0, 5, 9], [1, 4, 8]]
    assert [len(x) for x in data.series((), "x")] == [0, 0]


def test_sides_and_answers_by_hand(tmp_path: Path) -> None:
    a, b = "a" * 64, "b" * 64
    folder = RunFolder(tmp_path)
    store = open_store(folder.feedback)
    ids = store.enqueue([NewQuery(str(i), "comparison", (a, b), 1, {}) for i in range(4)])
    for i, (order, answer) in enumerate(
        [((0, 1), "first"), ((1, 0), "first"), ((1, 0), "second"), ((), "skip")]
    ):
        said = Comparison((a, b), answer)  # pyright: ignore
        store.submit(NewResponse(f"u{i}", ids[i], "ann" if i else "bob", said, order))
    store.close()
    people = data.answers(folder)
    assert people["bob"] == data.AnswerCounts({"first": 1}, left=1, sided=1)
    assert people["ann"] == data.AnswerCounts({"first": 1, "second": 1, "skip": 1}, left=1, sided=2)
    assert data.together(people) == data.AnswerCounts({"first": 2, "second": 1, "skip": 1}, left=2, sided=3)
    assert data.answers(RunFolder(tmp_path / "nowhere")) == {}


def test_both_generations_of_names_are_read(tmp_path: Path) -> None:
    """A folder with the names of the first version and one with today's give the same data."""
    made = Made(FALLING, kept=4, watched=WATCHED)
    new, old = (data.read(make(tmp_path / name, made)) for name in ("new", "old"))
    assert old.rows == new.rows
    old = data.read(aged(old.folder))
    assert "hidden_mean" in json.loads(old.folder.manifest.read_text())["result"]  # it was really aged
    assert any("watch/fresh_answers" in row for row in plain_rows(old.folder))
    assert old.rows == new.rows and old.config == new.config and old.manifest == new.manifest
    assert old.written != new.written and old.written["hidden"] == "rubric"
    assert data.samples(old.folder) == data.samples(new.folder)
    assert old.medium == new.medium == "language"


def test_names_of_own_rewards_are_left_alone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    written = {
        "language": {},
        "hidden": "mine.py:worth",
        "reward": {"weights": {"hidden": 1.0, "proxy": 0.5}},
    }
    folder.config.write_text(yaml.safe_dump(written))
    config = data.read(folder).config
    assert config["gold_reward"] == "mine.py:worth"
    assert config["reward"]["weights"] == {"hidden": 1.0, "proxy": 0.5}


@pytest.mark.parametrize(
    ("config", "row", "medium"),
    [
        ({"language": {}}, {"timesteps": 1}, "language"),
        ({"environment": {}}, {"tokens": 1}, "control"),
        (None, {"tokens": 1}, "language"),
        (None, {"decisions": 1, "rollout/answer_tokens": 2.0}, "language"),
        (None, {"timesteps": 1}, "control"),
        (None, {"decisions": 1}, "control"),
        (None, None, "control"),
    ],
)
def test_the_medium_is_that_of_the_config_or_of_the_metrics(
    tmp_path: Path, config: dict[str, Any] | None, row: dict[str, Any] | None, medium: str
) -> None:
    folder = RunFolder(tmp_path)
    if config is not None:
        folder.config.write_text(yaml.safe_dump(config))
    if row is not None:
        folder.metrics.write_text(json.dumps(row) + "\n")
    assert data.read(folder).medium == medium


@pytest.mark.parametrize(
    ("config", "row", "count"),
    [
        ({"feedback": {"people": [{}, {}]}}, {}, 2),
        ({"feedback": {"people": []}}, {"people/agreement": 0.9}, 0),
        (None, {"people/agreement": 0.9}, None),
        (None, {}, 0),
    ],
)
def test_simulated_people_are_known(
    tmp_path: Path, config: dict[str, Any] | None, row: dict[str, Any], count: int | None
) -> None:
    folder = RunFolder(tmp_path)
    if config is not None:
        folder.config.write_text(yaml.safe_dump(config))
    folder.metrics.write_text(json.dumps(row) + "\n")
    assert data.read(folder).simulated == count
