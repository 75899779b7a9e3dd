"""One reward learner: a live run, `plaudit reward FILE` and `RewardModel.fit` make the same model of the same answers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import plaudit
from plaudit.cli import main as cli
from plaudit.models.language import reward_model
from plaudit.runs import saved
from plaudit.runs.config import from_mapping
from plaudit.runs.folder import RunFolder
from plaudit.stages import export, optimise
from tests.text_world import World, quiet

SEED = 3


def taught(mapping: dict[str, Any], place: Path) -> tuple[RunFolder, Path]:
    """A run whose reward was fitted once, and its answers as a file."""
    run = optimise.start(from_mapping(mapping | {"seed": SEED}, "test"), place / "run", quiet)
    fits = [row for row in run.rows() if row.get("feedback/refitted")]
    assert len(fits) == 1 and fits[0]["feedback/labels"] >= 4
    export.export_feedback(run.path, place / "answers.jsonl")
    return run, place / "answers.jsonl"


def commanded(file: Path, out: Path, *flags: str) -> Path:
    """What the command makes of a file."""
    assert cli.main(["reward", str(file), "--out", str(out), "--seed", str(SEED), *flags]) == 0
    return out


def networks(model: Any) -> dict[str, Tensor]:
    """The weights with the scaling of the inputs; zero and scale of the output are fixed over other behaviour."""
    return {name: value for name, value in model.state_dict().items() if not name.startswith("outputs.")}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys() and len(one) > 2
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("people", [1, 2])
@pytest.mark.parametrize(
    "kinds", [{"comparison": 1}, {"comparison": 1, "ranking": 1, "rating": 1}], ids=["comparisons", "mixed"]
)
def test_segments(tmp_path: Path, kinds: dict[str, float], people: int) -> None:
    """Of two people reliability and side bias are estimated as well."""
    mapping = {
        "environment": {"id": "Pendulum-v1", "envs": 4, "n_steps": 100},
        "timesteps": 400,
        "trainer": {"epochs": 1},
        "reward": {"weights": {"environment": 0, "learned": 1}},
        "feedback": {"labels": 12, "first": 12, "rounds": 0, "segment": 20, "kinds": kinds, "options": 3},
        "evaluate_count": 1,
    }
    mapping["feedback"]["people"] = [{"side_bias": 0.5}] * people
    run, file = taught(mapping, tmp_path)
    live = saved.load_reward(run.path)
    other = saved.load_reward(commanded(file, tmp_path / "reward", "--repeats", "1", "--folds", "2"))
    assert_same(networks(live), networks(other))
    assert float(live.scaling.count) > 0
    if len(kinds) == 1:  # the interface takes one kind at a time
        fitted = plaudit.RewardModel.fit(plaudit.load_feedback(file), env="Pendulum-v1", seed=SEED)
        assert_same(dict(fitted.model.state_dict()), dict(other.state_dict()))


@pytest.mark.slow
def test_texts(tmp_path: Path, spoken: World) -> None:
    mapping = spoken.mapping(
        feedback={"labels": 12, "first": 12, "rounds": 0}, updates=1, evaluate_every=0, evaluate_count=2
    )
    del mapping["reward"]  # the usual settings
    run, file = taught(mapping, tmp_path)
    fitted = plaudit.RewardModel.fit(plaudit.load_feedback(file), like=str(spoken.lm), seed=SEED)
    test = tmp_path / "test.jsonl"
    test.write_bytes(file.read_bytes())  # another file, so that all of the first is learned from
    place = commanded(file, tmp_path / "reward", "--start", str(spoken.lm), "--test", str(test))
    live, other = (reward_model.trained(str(one)) for one in (run.path / "reward", place))
    assert_same(dict(fitted.model.model.state_dict()), dict(live.model.state_dict()))
    assert_same(dict(fitted.model.model.state_dict()), dict(other.model.state_dict()))
    assert (fitted.model.offset, fitted.model.scale) == (other.offset, other.scale)
