"""The true return: every environment plays its fixed share, so that short episodes are not counted more often."""

import gymnasium
import numpy as np
import pytest
import torch

from plaudit.environments.control.make import Control
from plaudit.environments.control.rollouts import true_returns
from plaudit.environments.control.wrappers import to_environment
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic, PolicyConfig, Spaces


def policy(observation: int, action: int, kind: str, seed: int = 0) -> ActorCritic:
    spaces = Spaces(observation, action, kind)  # type: ignore[arg-type]
    return ActorCritic(spaces, PolicyConfig(hidden=(6,)), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("episodes", "rows"), [(5, 5), (37, 16), (16, 16), (1, 1)])
def test_greedy_returns_by_a_plain_loop(episodes: int, rows: int) -> None:
    """Row i of the vector environment is seeded with seed + i and plays on from its own random state."""
    model = policy(4, 2, "discrete")
    expected = []
    for row in range(rows):
        env = gymnasium.make("CartPole-v1")
        observation, _ = env.reset(seed=7 + row)
        for _ in range(episodes // rows + (row < episodes % rows)):
            total, over = 0.0, False
            while not over:
                with torch.no_grad():
                    action = int(model.distribution(torch.from_numpy(observation)[None]).mode())
                observation, reward, terminated, truncated, _ = env.step(action)
                total, over = total + float(reward), terminated or truncated
            expected.append(total)
            observation, _ = env.reset()
        env.close()
    environment = Control("CartPole-v1", vectorization="sync")
    found = true_returns(model, environment, episodes, 7)
    assert found.tolist() == expected and len(found) == episodes


@pytest.mark.parametrize("autoreset", ["same_step", "next_step", "disabled"])
def test_the_same_whatever_happens_at_an_end(autoreset: str) -> None:
    model = policy(4, 2, "discrete")
    one = true_returns(model, Control("CartPole-v1", vectorization="sync"), 40, 3)
    other = true_returns(
        model,
        Control("CartPole-v1", vectorization="sync", autoreset=autoreset),
        40,
        3,  # type: ignore[arg-type]
    )
    assert one.tolist() == other.tolist()


def test_true_returns_know_neither_discount_nor_scale() -> None:
    model = policy(3, 1, "continuous")
    env = gymnasium.make("Pendulum-v1")
    observation, _ = env.reset(seed=11)
    total = 0.0
    for _ in range(200):
        with torch.no_grad():
            action = model.distribution(torch.from_numpy(observation)[None]).mode().numpy()
        observation, reward, *_ = env.step(to_environment(action, env.action_space)[0])
        total += float(reward)
    found = true_returns(model, Control("Pendulum-v1", vectorization="sync"), 1, 11)
    np.testing.assert_allclose(found, [total], rtol=1e-5)


def test_no_episodes() -> None:
    with pytest.raises(PlauditError, match="episodes: 0 are too few"):
        true_returns(policy(4, 2, "discrete"), Control("CartPole-v1"), 0, 1)


def test_seeds_decide() -> None:
    model, environment = policy(4, 2, "discrete"), Control("CartPole-v1")
    again = [true_returns(model, environment, 20, seed, greedy=False).tolist() for seed in (1, 1, 2)]
    assert again[0] == again[1] != again[2]
