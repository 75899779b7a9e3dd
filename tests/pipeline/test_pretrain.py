"""Cloning: what is held out is never learned from, actions come in the policy's own units."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plaudit.environments.control.make import Control
from plaudit.models.actor_critic import PolicyConfig
from plaudit.readers.arrays import RecordedSteps
from plaudit.runs import saved
from plaudit.stages import pretrain
from plaudit.stages.pretrain import CloneConfig, clone
from plaudit.trainers import supervised


def recorded(count: int, width: int, actions: np.ndarray) -> RecordedSteps:
    observations = np.random.default_rng(0).normal(3, 2, (count, width))
    return RecordedSteps(observations, actions, np.arange(count) % 10 == 0)


def quiet(row: dict[str, Any]) -> None:
    pass


def config(id: str, **changes: Any) -> CloneConfig:
    given: dict[str, Any] = {"trainer": supervised.Config(epochs=1), "evaluate_episodes": 1}
    return CloneConfig(Control(id), **(given | changes))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the trainer is given: data and held-out data."""
    found: list[Any] = []
    train = supervised.train

    def listen(policy: Any, data: Any, held_out: Any, task: Any, generator: torch.Generator) -> Any:
        found.extend([data, held_out])
        return train(policy, data, held_out, task, generator)

    monkeypatch.setattr(pretrain.supervised, "train", listen)
    return found


@pytest.mark.parametrize(
    ("share", "episodes", "kept", "learned"), [(0.1, None, 4, 36), (0.5, 2, 10, 10), (0, None, 1, 39)]
)
def test_held_out_steps_are_apart(
    tmp_path: Path, seen: list[Any], share: float, episodes: int | None, kept: int, learned: int
) -> None:
    steps = recorded(40, 4, np.arange(40) % 2)
    clone(config("CartPole-v1", held_out=share, episodes=episodes), steps, tmp_path / "c", quiet)
    data, held_out = ({float(x) for x in part.record.observations[:, 0, 0]} for part in seen)
    assert (len(held_out), len(data)) == (kept, learned) and not data & held_out
    used = steps.observations[: 40 if episodes is None else 10 * episodes, 0].astype(np.float32)
    assert data | held_out == {float(x) for x in used}
    for part in seen:  # every state keeps its own action
        place = {
            float(x): int(a)
            for x, a in zip(steps.observations[:, 0].astype(np.float32), steps.actions, strict=True)
        }
        pairs = zip(part.record.observations[:, 0, 0], part.record.actions[:, 0], strict=True)
        assert all(place[float(x)] == int(a) for x, a in pairs)


def test_continuous_actions_in_units_of_the_range(tmp_path: Path, seen: list[Any]) -> None:
    torque = np.linspace(-2, 2, 40)[:, None]
    clone(config("Pendulum-v1"), recorded(40, 3, torque), tmp_path / "c", quiet)
    actions = torch.cat([part.record.actions[:, 0, 0] for part in seen])
    executed = torch.cat([part.record.executed[:, 0, 0] for part in seen])
    torch.testing.assert_close(executed, 2 * actions)
    np.testing.assert_allclose(np.sort(actions.numpy()), torque[:, 0] / 2, atol=1e-6)


def test_a_clone_knows_the_statistics_of_its_demonstrations(tmp_path: Path) -> None:
    steps = recorded(50, 4, np.arange(50) % 2)
    policy = PolicyConfig(hidden=(4,), normalise_observations=True)
    result = clone(config("CartPole-v1", policy=policy), steps, tmp_path / "c", quiet)
    model = saved.load_policy(tmp_path / "c", "CartPole-v1")
    exact = steps.observations.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(model.moments.mean, exact.mean(axis=0))
    np.testing.assert_allclose(model.moments.var, exact.var(axis=0))
    assert result["episodes"] == 1 and model.moments.count == 50


def test_the_same_seed_the_same_clone(tmp_path: Path) -> None:
    steps = recorded(40, 4, np.arange(40) % 2)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        clone(config("CartPole-v1", seed=seed), steps, tmp_path / name, quiet)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c
