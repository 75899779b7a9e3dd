"""Flags and config keys as the README of the version before has them: each works, and is noted in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from plaudit.cli import arguments
from plaudit.errors import Renamed
from plaudit.runs import config as configs
from plaudit.runs.settings import _note
from tests.text_world import make_world

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def nothing_noted() -> None:
    _note.cache_clear()


def notes(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("note: ")]


def test_flags_of_control(plaudit: Run) -> None:
    line = ("optimise", "ppo", "--env", "CartPole-v1", "--envs", 2, "--steps", 64, "--rollout=16")
    more = (
        "--trainer.minibatch",
        32,
        "--trainer.epochs",
        1,
        "--evaluate_episodes",
        1,
        "--reward.scale",
        "false",
    )
    code, _, err = plaudit(*line, *more, "--out", "r")
    assert code == 0, err
    assert notes(err) == [
        "note: --steps is called --timesteps now",
        "note: --rollout is called --environment.n-steps now",
        "note: --trainer.minibatch is called --trainer.minibatch-size now",
        "note: --evaluate_episodes is called --evaluate-count now",
        "note: --reward.scale is called --reward.normalise now",
    ]
    config = configs.load(Path("r/config.yaml"))
    assert (config.timesteps, config.environment.n_steps, config.evaluate_count) == (64, 16, 1)
    assert config.trainer.minibatch_size == 32 and config.reward.normalise is False
    near = ("--start", "r/policy", "--reference", "r/policy", "--settings.kl_in_reward", 0.05)
    code, _, err = plaudit(*line, "--trainer.epochs", 1, *near, "--out", "near")
    assert code == 0 and "note: --settings.kl_in_reward is called --settings.kl.coef now" in err
    assert configs.load(Path("near/config.yaml")).settings.kl.coef == 0.05
    code, _, err = plaudit(
        *line, "--trainer.epochs", 1, *near[:4], "--settings.kl-in-loss", 0.2, "--out", "loss"
    )
    kl = configs.load(Path("loss/config.yaml")).settings.kl
    assert code == 0 and (kl.coef, kl.where) == (0.2, "loss"), err


def test_a_name_that_was_never_there(plaudit: Run) -> None:
    code, _, err = plaudit("optimise", "ppo", "--env", "CartPole-v1", "--roll-out", 16)
    assert code == 2 and "--roll-out is unknown" in err and not notes(err)


def test_set_speaks_the_names_of_before() -> None:
    given = configs.parse({"environment": {"id": "Pendulum-v1"}})
    sets = [
        "reward.fit.drawn=0.5", "trainer={minibatch: 8, epochs: 2}", "feedback.ask=disagreement", "steps=640",
        "reward.weights={environment: 0, learned: 1}", "feedback.labels=60", "settings.kl_in_loss=0.1",
    ]  # fmt: skip
    with pytest.warns(Renamed) as caught:
        config = arguments.override(
            given,
            [part for one in sets for part in ("--set", one)] + ["--reference", "here"],
            "optimise ppo",
            "",
        )
    assert len(caught) == 5
    assert (config.reward.fit.subsample, config.timesteps, config.feedback.query) == (
        0.5,
        640,
        "disagreement",
    )
    assert (config.trainer.minibatch_size, config.trainer.epochs) == (8, 2)
    assert (config.settings.kl.coef, config.settings.kl.where) == (0.1, "loss")
    assert config.reward.weights == {"environment": 0, "learned": 1}


def test_a_config_of_before(plaudit: Run, tmp_path: Path) -> None:
    mapping = {
        "environment": {"id": "CartPole-v1", "envs": 2}, "steps": 64, "rollout": 16,
        "trainer": {"minibatch": 32, "epochs": 1, "piece": 16}, "reward": {"scale": False, "model": {"caution": 0.1}},
        "evaluate_episodes": 1,
    }  # fmt: skip
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(mapping))
    code, _, err = plaudit("run", "c.yaml", "--out", "r")
    assert code == 0, err
    assert sorted(notes(err)) == sorted(
        f"note: config key {old} is called {new} now"
        for old, new in (
            ("steps", "timesteps"), ("rollout", "environment.n_steps"), ("trainer.minibatch", "trainer.minibatch_size"),
            ("trainer.piece", "trainer.microbatch_size"), ("reward.scale", "reward.normalise"),
            ("reward.model.caution", "reward.model.uncertainty_penalty"), ("evaluate_episodes", "evaluate_count"),
        )
    )  # fmt: skip
    known = yaml.safe_load(Path("r/config.yaml").read_text())
    assert known["timesteps"] == 64 and "steps" not in known  # what a run keeps speaks today's names


def test_flags_and_configs_of_language(plaudit: Run, tmp_path: Path) -> None:
    world = make_world(tmp_path)
    functions = {"trl": f"{world.functions}:trl"}
    mapping = {
        "start": str(world.lm), "language": {"prompts": str(world.prompts), "answer_tokens": 4, "batch": 4, "each": 2},
        "settings": {"kl_in_reward": 0.05}, "trainer": {"epochs": 1, "kl_target": 0.1}, "updates": 1,
        "reward": {"weights": {"trl": 1.0}, "functions": functions}, "hidden": world.hidden,
        "watch": {"every": 1, "judgements": 2}, "evaluate_prompts": 2,
    }  # fmt: skip
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(mapping))
    code, _, err = plaudit(
        "run", "c.yaml", "--out", "r", "--language.answer-tokens", 3, "--evaluate-prompts", 3
    )
    assert code == 0, err
    config = configs.load(Path("r/config.yaml"))
    said = config.environment
    assert (said.max_new_tokens, said.batch_size, said.num_generations, config.evaluate_count) == (3, 4, 2, 3)
    assert (config.settings.kl.coef, config.settings.kl.target) == (0.05, 0.1)
    assert config.gold_reward == world.hidden and config.win_rate_check.every == 1
    assert "note: --language.answer-tokens is called --environment.max-new-tokens now" in err
    assert "note: config key watch.every is called win_rate_check.every now" in err
    code, out, err = plaudit(
        "evaluate", "r", "--json", "--hidden", world.hidden, "--language.answer-tokens", 2
    )
    assert code == 0 and json.loads(out)["tokens"] <= 2, err
    assert "note: --hidden is called --gold-reward now" in err
    code, out, err = plaudit("sample", "r", "--prompt", "say ka:", "--answer-tokens", 3)
    assert code == 0 and "note: --answer-tokens is called --max-new-tokens now" in err
    code, _, err = plaudit("reward", "p.jsonl", "--epochs", 2)
    assert (
        code == 1 and "p.jsonl: no such file" in err
    ) or "--epochs: the fit is as long as a live run's now" in err
