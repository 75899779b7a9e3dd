"""Every way of learning, where actions are several choices at once, or only some of them are legal."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plaudit.api.environments import RewardWrapper
from plaudit.api.reward import RewardModel
from plaudit.environments.control.config import Control
from plaudit.environments.control.make import make
from plaudit.environments.control.rollouts import ControlRollouts
from plaudit.models.actor_critic import ActorCritic, PolicyConfig
from plaudit.models.exploration import StateDependent
from plaudit.runs import saved
from plaudit.runs.config import from_mapping
from plaudit.stages import optimise
from plaudit.stages.adapters import control_data
from plaudit.stages.export import export_feedback
from plaudit.stages.pretrain import pretrain
from plaudit.stages.pretrain_config import PretrainControl
from plaudit.trainers import supervised
from tests.environments.control.pressing import PATTERNS, PRESSED, Pressing

HERE = "tests.environments.control.pressing:"
BOTH = {
    "id": HERE + "Pressing-v0",
    "envs": 8,
    "n_steps": 32,
    "kwargs": {"see": "discrete", "press": "multi_discrete"},
}
MASKED = {"id": HERE + "Masked-v0", "envs": 8, "n_steps": 32, "kwargs": {"choices": [3, 4]}}


def quiet(row: dict[str, Any]) -> None:
    pass


def run(tmp_path: Path, mapping: dict[str, Any], name: str = "run") -> float:
    """The true return after a run."""
    given = {"evaluate_count": 10, "seed": 1, "policy": {"hidden": [32]}} | mapping
    found = optimise.start(from_mapping(given, "test"), tmp_path / name, quiet)
    return found.read_manifest()["result"]["return_mean"]


def demonstrated(path: Path, steps: int = 400) -> Path:
    """A file of right answers, patterns and choices as whole numbers, as the environment gives and takes them."""
    patterns = np.random.default_rng(0).integers(PATTERNS, size=steps)
    actions = np.stack([patterns // 2, 2 * (patterns % 2)], axis=1)
    np.savez(path, obs=patterns + 3, actions=actions, episode_starts=np.arange(steps) % 8 == 0)
    return path


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned from comparisons of several choices at once."""
    folder = tmp_path_factory.mktemp("taught")
    mapping = {
        "environment": BOTH,
        "timesteps": 8192,
        "settings": {"discount": 0.5, "entropy_coef": 0.01},
        "trainer": {"learning_rate": 1e-2, "epochs": 6, "minibatch_size": 128},
        "reward": {
            "weights": {"learned": 1},
            "model": {"members": 2},
            "fit": {"first_steps": 150, "steps": 50},
        },
        "feedback": {"labels": 150, "first": 80, "segment": 4, "people": [{}]},
    }
    assert run(folder, mapping) > 5.5  # chance: 3.3 of 8
    return folder / "run"


@pytest.mark.slow
def test_a_reward_is_learned_from_comparisons(taught: Path) -> None:
    reward = saved.load_reward(taught)
    assert reward.spaces.action == 5 and reward.spaces.choices == (2, 3)


@pytest.mark.slow
def test_pairs_come_back_as_choices(taught: Path, tmp_path: Path) -> None:
    start = {"algorithm": "dpo", "start": str(taught / "policy-start")}
    for name in ("pairs.npz", "pairs.jsonl"):
        export_feedback(taught, tmp_path / name)
        config = from_mapping(start | {"environment": BOTH, "pairs": str(tmp_path / name)}, "test")
        source = make(Control(**BOTH))
        reference = ActorCritic(source.spaces, PolicyConfig(critic=False), torch.Generator())
        train, _ = control_data.pairs(config, source, reference)
        record = train.record
        assert record.actions.shape[2:] == (4, 2) and record.observations.shape[2:] == (4, PATTERNS)
        one_hot = torch.cat(
            [torch.nn.functional.one_hot(record.actions[..., i], n) for i, n in enumerate((2, 3))], dim=-1
        )
        assert torch.equal(one_hot[train.mask].float(), record.executed[train.mask])
        source.close()
    mapping = start | {
        "environment": BOTH, "pairs": str(tmp_path / "pairs.npz"),
        "trainer": {"epochs": 20, "learning_rate": 1e-2},
    }  # fmt: skip
    assert run(tmp_path, mapping) > 5


@pytest.mark.slow
def test_the_learned_reward_in_other_peoples_environments(taught: Path) -> None:
    model = RewardModel.load(taught)
    env = RewardWrapper(Pressing("discrete", "multi_discrete"), model)
    env.reset(seed=0)
    source = make(Control(**BOTH | {"envs": 1}))
    control = ControlRollouts(source, 16, 0)
    walk = control.collect(saved.load_policy(taught))
    wanted = model.model.reward(walk.record)[0, :4]
    env.unwrapped.steps = 0
    for t in range(4):
        env.unwrapped.pattern = int(walk.record.observations[0, t].argmax())
        env._seen = env.unwrapped.pattern + 3
        _, reward, *_ = env.step(walk.record.actions[0, t].numpy())
        assert reward == pytest.approx(float(wanted[t]), abs=1e-4)


def test_demonstrations_are_cloned(tmp_path: Path) -> None:
    config = PretrainControl(
        Control(**BOTH), trainer=supervised.Config(epochs=30, learning_rate=1e-2), evaluate_count=10
    )
    found = pretrain(config, str(demonstrated(tmp_path / "shown.npz")), tmp_path / "clone", quiet)
    assert found["return_mean"] > 7.9


@pytest.mark.slow
def test_a_discriminator_learns_from_demonstrations(tmp_path: Path) -> None:
    mapping = {
        "environment": BOTH,
        "algorithm": "gail",
        "timesteps": 6144,
        "settings": {"discount": 0.5},
        "reward": {"demonstrations": str(demonstrated(tmp_path / "shown.npz"))},
        "trainer": {"learning_rate": 1e-2, "epochs": 6, "minibatch_size": 128},
    }
    assert run(tmp_path, mapping) > 5


@pytest.mark.parametrize("algorithm", ["grpo", "rloo", "reinforce", "trpo", "es"])
def test_only_legal_actions_are_taken_by_every_algorithm(algorithm: str, tmp_path: Path) -> None:
    """An illegal one is an error in this environment, also where the policy is evaluated."""
    few = {"settings": {"pairs": 3}} if algorithm == "es" else {}
    group = {"group": 4} if algorithm in ("grpo", "rloo") else {}
    assert run(tmp_path, {"environment": MASKED | group, "algorithm": algorithm, "timesteps": 600} | few) > 0


@pytest.mark.parametrize(
    ("id", "kwargs", "exploration"),
    [
        ("Pressing-v0", {"press": "multi_discrete"}, {}),
        ("Pressing-v0", {"press": "multi_binary"}, {}),
        ("Pressing-v0", {"press": "box"}, {"exploration": StateDependent(4)}),
    ],
)
def test_a_policy_is_saved_and_loaded(id: str, kwargs: Any, exploration: Any, tmp_path: Path) -> None:
    environment = Control(HERE + id, 2, kwargs=kwargs)
    source = make(environment)
    policy = ActorCritic(source.spaces, PolicyConfig(**exploration), torch.Generator().manual_seed(0))
    saved.save_policy(tmp_path, policy, environment)
    again = saved.load_policy(tmp_path, environment.id, source.spaces)
    assert again.config == policy.config and again.spaces == policy.spaces
    for name, tensor in policy.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert PRESSED[kwargs["press"]] == source.action_space
