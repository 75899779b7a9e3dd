"""Cloning: what is held out is never learned from, actions come in the policy's own units."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from plaudit.environments.control.config import Control
from plaudit.models.actor_critic import PolicyConfig
from plaudit.readers.arrays import RecordedSteps
from plaudit.runs import saved
from plaudit.runs.returns import Returns
from plaudit.stages.adapters.cloning import Fit, doubt
from plaudit.stages.pretrain import pretrain
from plaudit.stages.pretrain_config import PretrainControl
from plaudit.trainers import supervised


def recorded(count: int, width: int, actions: np.ndarray) -> RecordedSteps:
    observations = np.random.default_rng(0).normal(3, 2, (count, width))
    return RecordedSteps(observations, actions, np.arange(count) % 10 == 0)


def quiet(row: dict[str, Any]) -> None:
    pass


def config(id: str, **changes: Any) -> PretrainControl:
    given: dict[str, Any] = {"trainer": supervised.Config(epochs=1), "evaluate_count": 1}
    return PretrainControl(Control(id), **(given | changes))


def clone(how: PretrainControl, steps: RecordedSteps, out: Path) -> dict[str, Any]:
    """The stage, on a file."""
    file = out.with_name("steps.npz")
    np.savez(file, obs=steps.observations, actions=steps.actions, episode_starts=steps.starts)
    return pretrain(how, str(file), out, quiet)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the trainer is given: data and held-out data."""
    found: list[Any] = []
    run = supervised.run

    def listen(learner: supervised.Supervised) -> Any:
        found.extend([learner.data, learner.held_out])
        return run(learner)

    monkeypatch.setattr(supervised, "run", listen)
    return found


@pytest.mark.parametrize(
    ("share", "episodes", "kept", "learned"), [(0.1, None, 4, 36), (0.5, 2, 10, 10), (0, None, 1, 39)]
)
def test_held_out_steps_are_apart(
    tmp_path: Path, seen: list[Any], share: float, episodes: int | None, kept: int, learned: int
) -> None:
    steps = recorded(40, 4, np.arange(40) % 2)
    clone(config("CartPole-v1", held_out=share, episodes=episodes), steps, tmp_path / "c")
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
    clone(config("Pendulum-v1"), recorded(40, 3, torque), tmp_path / "c")
    actions = torch.cat([part.record.actions[:, 0, 0] for part in seen])
    executed = torch.cat([part.record.executed[:, 0, 0] for part in seen])
    torch.testing.assert_close(executed, 2 * actions)
    np.testing.assert_allclose(np.sort(actions.numpy()), torque[:, 0] / 2, atol=1e-6)


def test_a_clone_knows_the_statistics_of_its_demonstrations(tmp_path: Path) -> None:
    steps = recorded(50, 4, np.arange(50) % 2)
    policy = PolicyConfig(hidden=(4,), normalise_observations=True)
    result = clone(config("CartPole-v1", policy=policy), steps, tmp_path / "c")
    model = saved.load_policy(tmp_path / "c", "CartPole-v1")
    exact = steps.observations.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(model.moments.mean, exact.mean(axis=0))
    np.testing.assert_allclose(model.moments.var, exact.var(axis=0))
    assert result["episodes"] == 1 and model.moments.count == 50


def test_the_same_seed_the_same_clone(tmp_path: Path) -> None:
    steps = recorded(40, 4, np.arange(40) % 2)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        clone(config("CartPole-v1", seed=seed), steps, tmp_path / name)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_observations_are_normalised_where_nobody_says_otherwise(tmp_path: Path) -> None:
    steps = recorded(50, 4, np.arange(50) % 2)
    clone(config("CartPole-v1"), steps, tmp_path / "c")
    assert saved.load_policy(tmp_path / "c").config.normalise_observations
    clone(config("CartPole-v1", policy=PolicyConfig()), steps, tmp_path / "d")
    assert not saved.load_policy(tmp_path / "d").config.normalise_observations


def test_an_observation_that_never_varies_is_not_blown_up(tmp_path: Path) -> None:
    steps = recorded(50, 4, np.arange(50) % 2)
    steps.observations[:, 2] = 7.3
    clone(config("CartPole-v1"), steps, tmp_path / "c")
    moments = saved.load_policy(tmp_path / "c").moments
    assert moments.var[2] == 1 and moments.mean[2] == pytest.approx(7.3)
    seen = moments.standardise(torch.tensor([[0.0, 0.0, 7.3 + 0.5, 0.0]]))
    assert seen[0, 2].item() == pytest.approx(0.5, abs=1e-5)


def test_what_is_known_beside_the_return(tmp_path: Path) -> None:
    file = tmp_path / "steps.npz"
    steps = recorded(60, 4, np.arange(60) % 2)
    worth = np.arange(6.0) + 100
    np.savez(
        file,
        obs=steps.observations,
        actions=steps.actions,
        episode_starts=steps.starts,
        episode_returns=worth,
    )
    found = pretrain(config("CartPole-v1", episodes=3, evaluate_count=20), str(file), tmp_path / "c", quiet)
    assert found["return_mean_demonstrated"] == 101
    assert 10 < found["return_mean_random"] < 40  # Gymnasium: about 22 steps
    assert "no better than acting at random" in found["doubt"] and "demonstrations: 101.0" in found["doubt"]


GOOD, BAD = Returns(-120.0, 3.0, 50), Returns(-200.0, 0.0, 50)
FIT = Fit([0.7, 0.4, 0.3, 0.3, 0.3], 0.69, np.ones(4), 10)


@pytest.mark.parametrize(
    ("found", "shown", "fit", "said"),
    [
        (GOOD, GOOD, FIT, None),
        (BAD, BAD, FIT, "nor are the demonstrations"),
        (BAD, GOOD, replace(FIT, scales=np.array([0.3, 0.007])), "set policy.normalise_observations"),
        (BAD, GOOD, replace(FIT, held_out=[0.7, 0.65, 0.6, 0.5, 0.4]), "raise trainer.epochs"),
        (BAD, GOOD, replace(FIT, held_out=[0.7]), "raise trainer.epochs"),
        (BAD, GOOD, replace(FIT, held_out=[0.7, 0.4, 0.5, 0.6, 0.9]), "10 episodes are learned by heart"),
        (BAD, GOOD, replace(FIT, held_out=[0.69, 0.67, 0.68, 0.67]), "hardly predictable"),
        (BAD, None, FIT, "small mistakes lead to states that 10 episodes do not show"),
        (BAD, GOOD, replace(FIT, scales=np.array([1.0, 0.0])), "small mistakes"),
        (Returns(0.0, 0.0, 1), GOOD, FIT, None),
    ],
)
def test_a_clone_like_no_policy_says_why(
    found: Returns, shown: Returns | None, fit: Fit, said: str | None
) -> None:
    told = doubt(found, Returns(-200.0, 0.0, 50), shown, fit)
    assert told is None if said is None else told is not None and said in told


@pytest.mark.slow
def test_ten_episodes_of_an_expert_who_pumps_energy(tmp_path: Path) -> None:
    """MountainCar, pushed the way it moves: about -120; without normalisation a clone of ten episodes gets -200."""
    env, rows = gymnasium.make("MountainCar-v0"), []
    for seed in range(10):
        observation, _ = env.reset(seed=seed)
        start, over = True, False
        while not over:
            action = 2 if observation[1] >= 0 else 0
            rows.append((observation, action, start))
            observation, _, terminated, truncated, _ = env.step(action)
            start, over = False, terminated or truncated
    observations, actions, starts = zip(*rows, strict=True)
    np.savez(tmp_path / "d.npz", obs=np.array(observations), actions=actions, episode_starts=starts)
    result = pretrain(
        PretrainControl(Control("MountainCar-v0")), str(tmp_path / "d.npz"), tmp_path / "c", quiet
    )
    assert result["return_mean"] >= -125 and result["doubt"] is None
