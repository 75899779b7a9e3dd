"""Every learner, in both worlds: N steps are bit for bit k steps, `kill -9`, resume and N - k steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plaudit.environments.control.config import Control
from plaudit.models.actor_critic import ActorCritic, PolicyConfig, Spaces
from plaudit.runs import saved
from plaudit.runs.config import RunConfig, from_mapping
from plaudit.stages import optimise
from tests.processes import contents, differences, in_child, kill_me, metrics
from tests.text_world import World, quiet, write_rows

TINY = {"hidden": [8]}
CARTPOLE: dict[str, Any] = {
    "environment": {"id": "CartPole-v1", "envs": 4, "n_steps": 32},
    "policy": TINY,
    "trainer": {"epochs": 2, "minibatch_size": 32},
    "evaluate_count": 2,
    "evaluate_every": 2,
}
EPISODES = {"id": "CartPole-v1", "envs": 8, "group": 4, "n_steps": 40}
PEOPLE: dict[str, Any] = {
    "kinds": {"comparison": 1, "rating": 1, "ranking": 1, "binary": 1},
    "options": 3,
    "held_out": 0.2,
    "people": [{}, {"mistake": 0.3}, {"beta": 0.5, "skip": 0.1}],
}
CONTROL: dict[str, dict[str, Any]] = {
    "reinforce": {"timesteps": 700, "trainer": {"epochs": 1, "minibatch_size": 32}},
    "rloo": {"environment": EPISODES, "timesteps": 1100},
    "grpo": {"environment": EPISODES, "timesteps": 1100},
    "trpo": {"timesteps": 700},
    "es": {
        "settings": {"pairs": 3},
        "environment": {"id": "CartPole-v1"},
        "trainer": {"episodes": 2},
        "timesteps": 2000,
    },
    "gail": {"timesteps": 700, "reward": {"demonstrations": "{folder}/demonstrations.npz"}},
    "dpo": {
        "start": "{folder}/policy",
        "pairs": "{folder}/pairs.npz",
        "trainer": {"epochs": 6, "minibatch_size": 8, "log_every": 3},
    },
    "people": {
        "algorithm": "ppo",
        "environment": {"id": "Pendulum-v1", "envs": 4, "n_steps": 50},
        "timesteps": 1400,
        "reward": {
            "weights": {"environment": 0, "learned": 1},
            "model": {"hidden": [6], "members": 2},
            "fit": {"first_steps": 8, "steps": 4, "minibatch_size": 8},
        },
        "feedback": PEOPLE | {"labels": 24, "first": 12, "rounds": 3, "until": 0.9, "segment": 10},
    },
}
# one run that goes exploring before anything differs, and one whose answers prove nothing for a while
for name, feedback in {
    "ends": {"people": [{"equal": 0.2}]},
    "unproven": {"people": [{"beta": 0.0}, {}, {}], "labels": 60, "first": 36},
}.items():
    CONTROL[name] = {
        "algorithm": "ppo",
        "timesteps": 1400,
        "reward": {"weights": {"environment": 0, "learned": 1}, "fit": {"first_steps": 8, "steps": 4}},
        "feedback": {"labels": 40, "first": 8, "rounds": 5, "until": 0.9, "segment": 10} | feedback,
    }
LANGUAGE: dict[str, dict[str, Any]] = {
    "grpo": {"environment": {"num_generations": 4}, "trainer": {"epochs": 1}},
    "rloo": {"environment": {"num_generations": 4}, "policy": {"critic": "none"}},
    "trpo": {"policy": {"critic": "separate"}, "trainer": {"epochs": 1}},
    "es": {"settings": {"pairs": 2}, "trainer": {"learning_rate": 1e-3, "epochs": None, "minibatch_size": None}},
    "dpo": {"pairs": "{folder}/pairs.jsonl", "trainer": {"log_every": 4, "epochs": 3, "minibatch_size": 4}},
    "people": {"algorithm": "ppo", "feedback": PEOPLE | {"labels": 24, "first": 12, "rounds": 3}},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that learners learn from."""
    place, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    steps = {"obs": rng.normal(size=(60, 4)), "actions": rng.integers(0, 2, 60)}
    np.savez(place / "demonstrations.npz", **steps, episode_starts=np.arange(60) % 20 == 0)
    sides = {f"obs_{i}": rng.normal(size=(30, 6, 4)) for i in (1, 2)}
    sides |= {f"action_{i}": rng.integers(0, 2, size=(30, 6)) for i in (1, 2)}
    policy = ActorCritic(
        Spaces(4, 2, "discrete"), PolicyConfig(hidden=(8,)), torch.Generator().manual_seed(0)
    )
    saved.save_policy(place / "policy", policy, Control("CartPole-v1"))
    np.savez(place / "pairs.npz", **sides, label=np.arange(30) % 3 / 2)
    pairs = [{"prompt": f"say {i}:", "chosen": " a" * (1 + i % 3), "rejected": " b"} for i in range(30)]
    write_rows(place / "pairs.jsonl", pairs)
    return place


def placed(tree: Any, folder: Path) -> Any:
    """The config with the folder in place of its name."""
    if isinstance(tree, dict):
        return {name: placed(value, folder) for name, value in tree.items()}
    return tree.replace("{folder}", str(folder)) if isinstance(tree, str) else tree


def control(name: str, folder: Path) -> RunConfig:
    mapping = {"algorithm": name, "seed": 3, "checkpoint_every": 2} | CARTPOLE | CONTROL[name]
    return from_mapping(placed(mapping, folder), name)


def language(name: str, folder: Path, world: World) -> RunConfig:
    changes = {"algorithm": name, "updates": 5, "evaluate_every": 2} | LANGUAGE[name]
    config = world.mapping()
    if name != "people":
        changes |= {
            "reward": {"weights": {"texts": 1.0}, "functions": {"texts": f"{world.functions}:texts"}},
            "feedback": {"labels": 0},
        }
    trainer = {**config["trainer"], **changes.pop("trainer", {})}
    changes["trainer"] = {key: value for key, value in trainer.items() if value is not None}
    if name in ("es", "dpo"):
        config["settings"] = {}
    for key, value in placed(changes, folder).items():
        both = (
            isinstance(value, dict) and isinstance(config.get(key), dict) and key not in ("trainer", "reward")
        )
        config[key] = config[key] | value if both else value
    if name == "people":
        config["reward"] = world.mapping()["reward"] | config["reward"]
    return from_mapping(config, name)


def resumed_is_whole(config: RunConfig, folder: Path, update: int) -> list[dict[str, Any]]:
    """Run it twice, once killed after an update and resumed; returns the metrics."""
    log = folder / "log"

    def in_process(work: Callable[[], Any]) -> int:
        return in_child(lambda: work() and 0, log)

    whole, path = folder / "whole", folder / "run"
    assert in_process(lambda: optimise.start(config, whole, quiet)) == 0, log.read_text()
    die = in_process(lambda: optimise.start(config, path, lambda row: row["update"] < update or kill_me()))
    assert die == -9, log.read_text()
    assert in_process(lambda: optimise.resume(path, quiet)) == 0, log.read_text()
    assert differences(contents(whole), contents(path)) == []
    return metrics(whole)


@pytest.mark.parametrize("name", CONTROL)
def test_in_control(name: str, folder: Path, tmp_path: Path) -> None:
    rows = resumed_is_whole(control(name, folder), tmp_path, 3)
    assert len(rows) >= 5
    changing = [
        row
        for row in rows
        if row.get("policy/grad_norm") or row.get("loss/total") or name in ("trpo", "es", "unproven")
    ]
    assert changing, "something has to learn, or this would show nothing"


@pytest.mark.parametrize("name", LANGUAGE)
@pytest.mark.slow
def test_in_language(name: str, folder: Path, world: World, tmp_path: Path) -> None:
    rows = resumed_is_whole(language(name, folder, world), tmp_path, 3)
    assert len(rows) >= 4


@pytest.mark.slow
def test_people_of_all_kinds_are_estimated(folder: Path, tmp_path: Path) -> None:
    """What the test above resumes does hold every kind of answer and several estimated people."""
    rows: list[dict[str, Any]] = []
    run = optimise.start(control("people", folder), tmp_path / "run", rows.append)
    kinds = {type(one[4]).__name__ for one in contents(run.path)["answers"]}
    assert kinds == {"Comparison", "Rating", "Ranking", "Binary"}
    people = [name for row in rows for name in row if name.startswith("people/")]
    assert {name.split("/")[-1] for name in people} >= {"simulated-0", "simulated-1", "simulated-2"}
