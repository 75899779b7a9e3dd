"""Our vectorised environments equal Gymnasium's scalar ones, bit for bit."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

from plaudit.environments.control.classic import PHYSICS, ClassicVectorEnv, place

ENVIRONMENTS = sorted(PHYSICS)
RANGES = {  # beyond what episodes reach, so that every clip, wall and threshold is met
    "CartPole-v1": [(-2.6, 2.6), (-4, 4), (-0.25, 0.25), (-4, 4)],
    "Pendulum-v1": [(-20, 20), (-8, 8)],
    "Acrobot-v1": [(-np.pi, np.pi), (-np.pi, np.pi), (-4 * np.pi, 4 * np.pi), (-9 * np.pi, 9 * np.pi)],
    "MountainCar-v0": [(-1.2, 0.6), (-0.07, 0.07)],
    "MountainCarContinuous-v0": [(-1.2, 0.6), (-0.07, 0.07)],
}


def actions_for(id, generator, n):
    if id in ("Pendulum-v1", "MountainCarContinuous-v0"):
        return generator.uniform(-2.5, 2.5, (n, 1)).astype(np.float32)
    return generator.integers(0, gymnasium.make(id).action_space.n, n)


def ours(id, n, **kwargs):
    physics = PHYSICS[id](**kwargs)
    return ClassicVectorEnv(physics, n, physics.horizon)


@pytest.mark.parametrize("id", ENVIRONMENTS)
def test_steps_from_given_states_equal_gymnasiums_bit_for_bit(id):
    n, generator = 1200, np.random.default_rng(7)
    low, high = np.array(RANGES[id]).T
    states = generator.uniform(low, high, (n, len(low)))
    physics = PHYSICS[id]()
    horizon = physics.horizon
    elapsed = generator.choice([0, 1, 17, horizon - 2, horizon - 1], n)
    if id == "MountainCarContinuous-v0":  # float32 but for the first step
        states = np.where(elapsed[:, None] > 0, states.astype(np.float32), states)
    vector, actions = ours(id, n), actions_for(id, generator, n)
    vector.reset(seed=0)
    vector.states, vector.elapsed = states.copy(), elapsed.copy()
    observations, rewards, terminated, truncated, infos = vector.step(actions)
    ended = terminated | truncated
    observations = np.where(ended[:, None], infos["final_obs"], observations)
    np.testing.assert_array_equal(infos["_final_obs"], ended)
    env = gymnasium.make(id, disable_env_checker=True)  # TimeLimit is the outermost wrapper
    for i in range(n):
        env.reset(seed=0)
        place(env, physics, states[i], int(elapsed[i]))
        env._elapsed_steps = int(elapsed[i])
        observation, reward, over, late, _ = env.step(actions[i])
        assert observation.dtype == observations.dtype == np.float32
        np.testing.assert_array_equal(observations[i], observation)
        assert (rewards[i], terminated[i], truncated[i]) == (reward, over, late)
        if not ended[i]:
            np.testing.assert_array_equal(
                vector.physics()[i], np.asarray(env.unwrapped.state, dtype=np.float64)
            )
    if id != "Pendulum-v1":
        assert terminated.any()
    assert truncated.any() and (id == "Pendulum-v1" or (terminated & truncated).any())


@pytest.mark.parametrize("id", ENVIRONMENTS)
def test_whole_runs_with_resets_equal_scalar_environments(id):
    """1,200 steps of 3 environments, time limits, resets and their random draws included."""
    generator = np.random.default_rng(3)
    vector, rows = ours(id, 3), [gymnasium.make(id, disable_env_checker=True) for _ in range(3)]
    observations, _ = vector.reset(seed=20)
    for i, env in enumerate(rows):
        np.testing.assert_array_equal(observations[i], env.reset(seed=20 + i)[0])
    ends = 0
    for _ in range(1200):
        actions = actions_for(id, generator, 3)
        if id == "MountainCarContinuous-v0":  # pushing along gets it over the hill
            actions += 2 * np.sign(observations[:, 1:])
        observations, rewards, terminated, truncated, infos = vector.step(actions)
        for i, env in enumerate(rows):
            observation, reward, over, late, _ = env.step(actions[i])
            assert (rewards[i], terminated[i], truncated[i]) == (reward, over, late)
            if over or late:
                np.testing.assert_array_equal(infos["final_obs"][i], observation)
                observation, _ = env.reset()
                ends += 1
            np.testing.assert_array_equal(observations[i], observation)
    assert ends >= 3


@pytest.mark.parametrize(
    ("id", "kwargs"),
    [
        ("CartPole-v1", {"sutton_barto_reward": True}),
        ("Pendulum-v1", {"g": 9.81}),
        ("MountainCarContinuous-v0", {"goal_velocity": 0.01}),
        ("MountainCar-v0", {"goal_velocity": 0.01}),
    ],
)
def test_keyword_arguments_mean_the_same(id, kwargs):
    generator = np.random.default_rng(3)
    vector, env = ours(id, 1, **kwargs), gymnasium.make(id, disable_env_checker=True, **kwargs)
    vector.reset(seed=5), env.reset(seed=5)
    for _ in range(600):
        action = actions_for(id, generator, 1)
        _, reward, terminated, truncated, _ = vector.step(action)
        assert (reward[0], terminated[0], truncated[0]) == env.step(action[0])[1:4]
        if terminated[0] or truncated[0]:
            env.reset()


@pytest.mark.parametrize("id", ENVIRONMENTS)
def test_spaces_and_time_limits_are_gymnasiums(id):
    vector, env = ours(id, 2), gymnasium.make(id)
    assert isinstance(vector, VectorEnv)
    assert vector.single_observation_space == env.observation_space
    assert vector.single_action_space == env.action_space
    assert vector.horizon == env.spec.max_episode_steps
    assert vector.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert vector.observation_space.contains(vector.reset(seed=0)[0])


@pytest.mark.parametrize("id", ENVIRONMENTS)
@pytest.mark.parametrize("steps", [0, 1, 33])
def test_snapshot_is_exact_through_json(id, steps):
    generator = np.random.default_rng(0)
    plan = [actions_for(id, generator, 4) for _ in range(steps + 250)]
    first = ours(id, 4)
    observations, _ = first.reset(seed=1)
    for actions in plan[:steps]:
        observations, *_ = first.step(actions)
    saved = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in first.snapshot().items()}
    second = ours(id, 4)
    np.testing.assert_array_equal(second.restore(json.loads(json.dumps(saved))), observations)
    for actions in plan[steps:]:
        for a, b in zip(first.step(actions)[:4], second.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_reset_without_seed_goes_on_with_the_generators():
    vector, env = ours("CartPole-v1", 2), gymnasium.make("CartPole-v1")
    vector.reset(seed=4), env.reset(seed=5)
    np.testing.assert_array_equal(vector.reset()[0][1], env.reset()[0])
