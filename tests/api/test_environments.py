"""A learned reward inside other people's environments: the true successor at an end, the true reward kept apart."""

import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from plaudit import RewardModel
from plaudit.agents import PPOAgent
from plaudit.envs import GymEnv, RewardWrapper, sb3_reward_wrapper
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble


class Counting(gymnasium.Env):
    """Counts its steps, begins at 100 and ends at 103; a time limit may cut it. Pays 7. Actions are 2 and 3."""

    observation_space = gymnasium.spaces.Box(-1e3, 1e3, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2, start=2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at = 100.0
        return np.array([self.at], np.float32), {}

    def step(self, action: Any) -> Any:
        self.at += 1
        return np.array([self.at], np.float32), 7.0, self.at >= 103, False, {}


class Telling:
    """In place of a reward ensemble: tells everything it is given, as 10^6 s + 10^3 s' + the action's index."""

    spaces = Spaces(1, 2, "discrete")

    def reward(self, record: Any) -> torch.Tensor:
        assert record.executed.sum(dim=-1).eq(1).all()  # one-hot
        action = record.executed[..., 1]
        return (
            1e6 * (record.observations[..., 0] - 99) + 1e3 * (record.successors[..., 0] - 99) + action
        ).double()


def telling() -> RewardModel:
    return RewardModel(Telling(), "control", {}, "Counting")


# from 100 to 101 by action 3, from 101 to 102 by 2, from 102 to 103 (the end, not the next 100) by 3, and again
WANTED = [1_002_001, 2_003_000, 3_004_001, 1_002_000]
ACTIONS = [3, 2, 3, 2]


def test_gymnasium() -> None:
    env = RewardWrapper(Counting(), telling())
    env.reset()
    found = []
    for action in ACTIONS:
        _, reward, terminated, truncated, info = env.step(action)
        found.append(reward)
        assert info["true_reward"] == 7.0
        if terminated or truncated:
            env.reset()
    assert found == WANTED


def test_a_reward_sees_actions_within_the_bounds() -> None:
    """As the environment takes them, and as the pipeline gives them."""
    ensemble = RewardEnsemble(Spaces(3, 1, "continuous"), RewardConfig(), torch.Generator().manual_seed(0))
    found = []
    for action in (2.0, 50.0):  # Pendulum's largest torque is 2
        env = RewardWrapper(gymnasium.make("Pendulum-v1"), RewardModel(ensemble, "control", {}))
        env.reset(seed=0)
        found.append(env.step(np.array([action], np.float32))[1])
    assert found[0] == found[1]


def test_an_agent_takes_a_wrapped_environment_and_makes_more_of_it() -> None:
    """They share the reward, and all pay it."""
    ensemble = RewardEnsemble(Spaces(3, 1, "continuous"), RewardConfig(), torch.Generator().manual_seed(0))
    reward = RewardModel(ensemble, "control", {})
    given = GymEnv(RewardWrapper(gymnasium.make("Pendulum-v1"), reward))
    assert isinstance(given.env, RewardWrapper) and given.env.reward_model is reward
    seen, _ = given.reset(seed=0)
    following, paid, *_, info = given.step(np.array([0.5], np.float32))
    assert paid == pytest.approx(float(reward.rewards(seen[None], [[0.5]], following[None])[0]))
    assert info["true_reward"] != paid
    agent = PPOAgent(given, n_envs=2, n_steps=8, batch_size=8).learn(16)
    assert agent.num_timesteps == 16
    agent.close()


def test_gymnasium_vectors_of_wrapped_environments() -> None:
    vector = gymnasium.vector.SyncVectorEnv(
        [lambda: RewardWrapper(Counting(), telling())] * 2,
        autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
    )
    vector.reset()
    found = [vector.step(np.array([action, 2]))[1][0] for action in ACTIONS]
    assert found == WANTED


@pytest.mark.parametrize("limit", [None, 2])
def test_stable_baselines3(limit: int | None) -> None:
    pytest.importorskip("stable_baselines3", reason="stable_baselines3 is not installed")
    from stable_baselines3.common.vec_env import DummyVecEnv

    def make() -> gymnasium.Env:
        # Stable-Baselines3 knows no Discrete with a start: actions count from 0 there
        env = gymnasium.wrappers.TransformAction(Counting(), lambda a: a + 2, gymnasium.spaces.Discrete(2))
        return env if limit is None else gymnasium.wrappers.TimeLimit(env, limit)

    venv = sb3_reward_wrapper(DummyVecEnv([make, make]), telling())
    assert venv.reset().tolist() == [[100], [100]]
    found = []
    for action in ACTIONS:
        observations, rewards, dones, infos = venv.step(np.array([action - 2, 0]))
        found.append(rewards[0])
        assert [info["true_reward"] for info in infos] == [7, 7] and rewards.dtype == np.float32
        assert observations[0, 0] == 100 or not dones[0]
    cut = [1_002_001, 2_003_000, 1_002_001, 2_003_000]
    assert found == (WANTED if limit is None else cut)


def test_stable_baselines3_learns_on_it() -> None:
    pytest.importorskip("stable_baselines3", reason="stable_baselines3 is not installed")
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    ensemble = RewardEnsemble(Spaces(3, 1, "continuous"), RewardConfig(), torch.Generator().manual_seed(0))
    venv = sb3_reward_wrapper(
        make_vec_env("Pendulum-v1", n_envs=2, seed=0), RewardModel(ensemble, "control", {})
    )
    assert PPO("MlpPolicy", venv, n_steps=16, batch_size=16, n_epochs=1, seed=0).learn(64).num_timesteps == 64


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(
        PlauditError, match=r"judges Counting with 1 numbers of observation and 2 of action.*has 3 and 1"
    ):
        RewardWrapper(gymnasium.make("Pendulum-v1"), telling())
    with pytest.raises(PlauditError, match="give what RewardModel.fit"):
        RewardWrapper(Counting(), Telling())
    pytest.importorskip("stable_baselines3", reason="stable_baselines3 is not installed")
    with pytest.raises(PlauditError, match="no vector environment of stable_baselines3"):
        sb3_reward_wrapper(Counting(), telling())


def test_a_missing_stable_baselines3_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.setitem(sys.modules, "stable_baselines3.common", None)
    with pytest.raises(PlauditError, match="pip install stable_baselines3"):
        sb3_reward_wrapper(None, telling())
