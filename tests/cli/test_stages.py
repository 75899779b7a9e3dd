"""The commands at work: clone, go on from the clone, learn rewards, compare, export; an algorithm of one's own."""

import gzip
import inspect
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from plaudit.algorithms.on_policy import ppo
from plaudit.cli import reward
from plaudit.readers.arrays import read_comparisons, read_pairs
from plaudit.readers.lines import read_lines, write_lines
from plaudit.runs.config import from_mapping
from plaudit.stages import optimise
from plaudit.stages.export import export_feedback

Run = Callable[..., tuple[int, str, str]]

A2C = '''"""Advantage actor-critic (Mnih et al. 2016, arXiv:1602.01783, section 4): one pass over each rollout."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from plaudit.batches import Episodes, Loss, Needs, Scores
from plaudit.maths.gae import gae


@dataclass(frozen=True)
class Config:
    """The mathematics."""

    discount: float = 0.99
    """Weight of the next step."""
    lam: float = 0.9
    """Trace decay of the advantage."""
    value_coef: float = 0.5
    """Weight of the error of the critic."""


def needs(config: Config) -> Needs:
    return Needs(critic=True, discount=config.discount)


def advantages(episodes: Episodes, config: Config) -> torch.Tensor:
    return gae(episodes, config.discount, config.lam)


def loss(new: Scores, episodes: Episodes, advantages: torch.Tensor, config: Config) -> Loss:
    mask = episodes.mask
    policy = -(new.logp * advantages)[mask].mean()
    value = (new.values - (episodes.values + advantages)).pow(2)[mask].mean()
    return Loss(policy, {"loss/policy_avg": policy.detach()}, value=config.value_coef * value)
'''


def rows(run: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_an_algorithm_of_ones_own_learns_cartpole(plaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "a2c.py").write_text(A2C)
    start = ("optimise", "./a2c.py", "--env", "CartPole-v1", "--settings.lam", "0.95")
    descent = (
        "--environment.n-steps",
        32,
        "--trainer.epochs",
        1,
        "--trainer.minibatch-size",
        1000,
        "--trainer.learning-rate",
        1e-2,
    )
    code, out, err = plaudit(*start, *descent, "--timesteps", 25_000, "--seeds", 3, "--out", "r")
    assert code == 0, err
    manifests = [json.loads(Path(f"r/seed-{seed}/manifest.json").read_text()) for seed in range(3)]
    returns = [manifest["result"]["return_mean"] for manifest in manifests]
    assert min(returns) > 50 and sum(returns) / 3 > 100, returns  # 9 to 25 before
    config = yaml.safe_load(Path("r/seed-0/config.yaml").read_text())
    assert config["algorithm"] == str(tmp_path / "a2c.py") and config["settings"]["lam"] == 0.95
    code, out, _ = plaudit("optimise", "./a2c.py", "--help")
    words = " ".join(out.replace("│", " ").split())
    assert code == 0 and "--settings.value-coef" in words and "Weight of the error of the critic." in words
    assert "Mnih et al." in words


@pytest.mark.parametrize("name", ["rloo", "grpo"])
def test_groups_of_episodes_need_no_flag(plaudit: Run, name: str) -> None:
    """But for how long, which is only to be quick."""
    quick = ("--timesteps", 1500, "--evaluate-count", 1, "--trainer.epochs", 1)
    code, out, err = plaudit("optimise", name, "--env", "CartPole-v1", *quick, "--out", name)
    assert code == 0 and "true return" in out, err
    environment = yaml.safe_load(Path(name, "config.yaml").read_text())["environment"]
    assert environment["group"] == 8 and environment["envs"] % 8 == 0
    assert plaudit("optimise", name, "--help")[0] == 0


def test_source_shows_the_loss(plaudit: Run) -> None:
    code, out, _ = plaudit("optimise", "ppo", "--source")
    assert code == 0 and out == inspect.getsource(ppo.loss) + "\n"


@pytest.mark.slow
def test_a_clone_and_what_comes_of_it(plaudit: Run, shared_data: Path) -> None:
    """Behaviour cloning from ten episodes reaches 450; a policy that starts as its own reference has KL 0."""
    demos = shared_data / "control_demos" / "cartpole-v1.npz"
    if not demos.exists():
        pytest.skip(f"no {demos}")
    clone = ("pretrain", demos, "--env", "CartPole-v1", "--episodes", 10, "--evaluate-count", 20)
    code, out, err = plaudit(*clone, "--out", "clone")
    assert code == 0 and "held-out loss" in out, err
    code, out, _ = plaudit("evaluate", "clone", "--episodes", 20, "--json")
    assert code == 0 and json.loads(out)["return_mean"] >= 450 and json.loads(out)["episodes"] == 20
    go_on = ("optimise", "ppo", "--env", "CartPole-v1", "--start", "clone", "--reference", "clone")
    short = ("--timesteps", 512, "--environment.n-steps", 32, "--evaluate-count", 2)
    assert plaudit(*go_on, "--settings.kl.coef", 0.1, *short, "--out", "near")[0] == 0
    first, *later = (row["objective/kl"] for row in rows("near"))
    assert first == 0 and len(later) == 1 and later[0] != 0


def test_normalised_observations_keep_the_first_kl_at_zero(plaudit: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", obs=rng.normal(3, 2, (300, 3)), actions=rng.uniform(-2, 2, (300, 1)))
    clone = ("pretrain", "d.npz", "--env", "Pendulum-v1", "--policy.normalise-observations", "True")
    assert plaudit(*clone, "--trainer.epochs", 1, "--evaluate-count", 1, "--out", "clone")[0] == 0
    go_on = ("optimise", "ppo", "--env", "Pendulum-v1", "--start", "clone", "--reference", "clone")
    short = ("--timesteps", 512, "--environment.n-steps", 32, "--evaluate-count", 1, "--trainer.epochs", 1)
    assert plaudit(*go_on, "--settings.kl.coef", 0.1, *short, "--out", "near")[0] == 0
    assert rows("near")[0]["objective/kl"] == 0


@pytest.mark.slow
def test_a_reward_from_what_people_said_of_hopper(plaudit: Run, shared_data: Path) -> None:
    folder = shared_data / "control_pairs" / "hopper-medium-expert-v2"
    files = [folder / f"num100_human_{part}.npz" for part in ("train", "eval")]
    if not all(file.exists() for file in files):
        pytest.skip(f"no comparisons in {folder}")
    code, out, err = plaudit("reward", *files, "--repeats", 3, "--folds", 3, "--out", "model")
    assert code == 0, err
    found = re.findall(r"^  (\S.*?)  +(\S+) \((\S+) to (\S+)\)$", out, re.MULTILINE)
    table = {name: tuple(map(float, numbers)) for name, *numbers in found}
    assert set(table) == {"reward model", "linear on mean features", "best single feature"}
    for mean, low, high in table.values():
        # over three repeats the interval is 4.3 standard errors to either side
        assert 0.6 < mean < 0.9 and (high - low) / 2 / 4.3 * math.sqrt(3) < 0.1 and 0 <= low <= high <= 1
    card = json.loads(Path("model/plaudit.json").read_text())
    assert card["about"]["answers"] == 110 and card["spaces"] == {
        "observation": 11,
        "action": 3,
        "kind": "continuous",
        "choices": [],
    }
    config = {
        "environment": {"id": "Hopper-v5", "envs": 4, "n_steps": 16},
        "reward": {"weights": {"learned": 1}, "start": "model"},
        "timesteps": 128, "trainer": {"epochs": 1}, "evaluate_count": 1,
    }  # fmt: skip
    seen: list[
        dict[str, Any]
    ] = []  # not by the command: its report draws pictures, which takes a minute without a GPU
    optimise.start(from_mapping(config, "here"), Path("r"), seen.append)
    assert [row["timesteps"] for row in seen] == [64, 128] and all(
        math.isfinite(row["rollout/reward_mean"]) for row in seen
    )


PREFERENCES = {
    "environment": {"id": "Pendulum-v1", "envs": 4, "n_steps": 50},
    "timesteps": 800,
    "trainer": {"epochs": 1},
    "policy": {"hidden": [8]},
    "reward": {"weights": {"learned": 1, "environment": 0}, "model": {"hidden": [8]}, "fit": {"first_steps": 5, "steps": 3}},
    "feedback": {"labels": 12, "first": 6, "rounds": 2, "segment": 10, "people": [{"equal": 0.2}]},
    "evaluate_count": 2,
    "seed": 5,
}  # fmt: skip


@pytest.mark.slow
def test_run_compare_report_export(plaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(PREFERENCES))
    code, out, err = plaudit("run", "c.yaml", "--seeds", 2, "--out", "both", "--timesteps", 600)
    assert code == 0 and "both" in out, err
    assert plaudit("run", "c.yaml", "--out", "one", "--feedback.labels", 6)[0] == 0
    steps = [sum(1 for _ in rows(f"both/seed-{seed}")) for seed in (5, 6)]
    assert steps == [3, 3] and rows("both/seed-5") != rows("both/seed-6")
    code, out, _ = plaudit("compare", "both", "one")
    _, both, one = (line.split("  ") for line in out.strip().splitlines()[:3])
    assert code == 0 and both[0] == "both" and one[0] == "one" and "(one seed)" in out
    code, out, _ = plaudit("report", "one", "--language", "zh")
    assert code == 0 and any(
        "\u4e00" <= letter <= "\u9fff" for letter in Path("one/report.zh.html").read_text(encoding="utf-8")
    )

    code, out, _ = plaudit("export", "one", "--to", "a.jsonl")
    assert code == 0 and out.startswith("6 rows")
    assert plaudit("export", "one", "--to", "a.jsonl.gz")[0] == 0
    assert gzip.decompress(Path("a.jsonl.gz").read_bytes()) == Path("a.jsonl").read_bytes()
    write_lines(read_lines(Path("a.jsonl")), Path("b.jsonl"))
    assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes()
    assert plaudit("export", "one", "--to", "a.npz")[0] == 0
    lines, arrays = read_comparisons(Path("a.jsonl")), read_pairs(Path("a.npz"))
    assert lines.preference.tolist() == arrays.preference.tolist() and len(lines.preference) == 6
    for side in (0, 1):
        np.testing.assert_array_equal(lines.observations[side], arrays.observations[side])
        np.testing.assert_array_equal(lines.actions[side], arrays.actions[side])
    learn = ("--folds", 2, "--repeats", 1, "--fit.first-steps", 2)
    assert plaudit("reward", "a.jsonl", "a.npz", *learn, "--out", "model")[0] == 0

    for wrong, sentence in (
        ("a.npz", "exists already"),
        ("a.csv", "must end in .jsonl"),
        ("no/a.jsonl", "no/a.jsonl: "),
    ):
        code, out, err = plaudit("export", "one", "--to", wrong)
        assert code == 1 and sentence in err and err.count("\n") == 1


def test_what_is_exported_is_what_the_environment_showed(plaudit: Run, tmp_path: Path) -> None:
    """Observations lie on the unit circle, torques within 2; what a sure person calls better pays more."""
    (tmp_path / "c.yaml").write_text(
        yaml.safe_dump(PREFERENCES | {"feedback": PREFERENCES["feedback"] | {"people": [{}]}})
    )
    assert plaudit("run", "c.yaml", "--out", "one")[0] == 0
    export_feedback(Path("one"), Path("a.jsonl"))
    for row in read_lines(Path("a.jsonl")):
        returns = []
        for side in ("first", "second"):
            observations, torque = np.array(row[side]["observations"]), np.array(row[side]["actions"])[:, 0]
            assert observations.shape == (10, 3) and torque.shape == (10,) and np.abs(torque).max() <= 2
            np.testing.assert_allclose(observations[:, 0] ** 2 + observations[:, 1] ** 2, 1, atol=1e-5)
            angle = np.arctan2(observations[:, 1], observations[:, 0])
            returns.append(-(angle**2 + 0.1 * observations[:, 2] ** 2 + 0.001 * torque**2).sum())
        assert row["answer"] == ("first" if returns[0] > returns[1] else "second")
        assert row["annotator"] == "simulated-0" and math.isfinite(sum(returns))


def test_what_takes_longer_than_two_seconds_shows_how_far_it_is() -> None:
    written: list[int] = []
    seconds = iter([0.0, 1.0, 2.5, 3.0, 4.0])
    bar: Any = SimpleNamespace(write=lambda row: written.append(row["percent"]))
    tell = reward._told(bar, lambda: next(seconds))
    for share in (0.1, 0.2, 0.205, 0.3, 0.307):
        tell(share)
    assert written == [20, 30]  # silent at first, then once for each percent
