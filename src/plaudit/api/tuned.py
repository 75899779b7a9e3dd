"""Settings to begin with: those of Stable-Baselines3, and for the classic environments those known to work there.

The classic ones are those of `examples/` (measured in `make learn`) and of rl-baselines3-zoo (hyperparams/ppo.yml).
Everybody who names no settings gets them; whatever is given by name wins.
"""

from typing import Any

USUAL: dict[str, Any] = {
    "learning_rate": 3e-4,
    "n_envs": 8,
    "n_steps": 256,
    "batch_size": 64,
    "n_epochs": 10,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "normalize_advantage": True,
    "ent_coef": 0.0,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
    "normalize_observations": False,
    "normalize_reward": False,
}
"""Stable-Baselines3's own, with its 2,048 steps per update spread over eight environments."""

BY_ENVIRONMENT: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"n_steps": 128, "batch_size": 256, "learning_rate": "lin_0.001"},
    "Pendulum-v1": {
        "n_envs": 32,
        "n_steps": 100,
        "batch_size": 320,
        "learning_rate": "lin_0.001",
        "gamma": 0.97,
        "ent_coef": 0.01,
        "normalize_reward": True,
    },
    "Acrobot-v1": {
        "n_envs": 16,
        "n_steps": 128,
        "batch_size": 256,
        "learning_rate": "lin_0.002",
        "ent_coef": 0.01,
        "normalize_reward": True,
    },
    "MountainCar-v0": {
        "n_envs": 16,
        "n_steps": 16,
        "n_epochs": 4,
        "gae_lambda": 0.98,
        "normalize_observations": True,
        "normalize_reward": True,
    },
    "LunarLander-v3": {
        "n_envs": 16,
        "n_steps": 1024,
        "n_epochs": 4,
        "gamma": 0.999,
        "gae_lambda": 0.98,
        "ent_coef": 0.01,
    },
}
"""By Gymnasium's id, what differs."""


def settings(environment: str) -> dict[str, Any]:
    """The settings to begin with in an environment."""
    return USUAL | BY_ENVIRONMENT.get(environment.rpartition(":")[2], {})
