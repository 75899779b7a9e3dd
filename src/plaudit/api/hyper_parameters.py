"""Hyper-parameters by the names of Stable-Baselines3, what they are unless given, and schedules of them.

The usual ones are those of Stable-Baselines3, and for the classic environments those known to work there: those of
`examples/` (measured in `make learn`) and of rl-baselines3-zoo (hyperparams/ppo.yml). Everybody who names no settings
gets them; whatever is given by name wins.
"""

import math
from collections.abc import Callable
from typing import Any, TypedDict

from plaudit.errors import PlauditError

Schedule = Callable[[float], float]
"""From the share of the budget that is left (1 at the beginning, 0 at the end) to a value."""
LINEAR = "lin_"
"""How rl-baselines3-zoo writes a value that falls linearly to 0."""
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


class HyperParameters(TypedDict, total=False):
    """What a PPOAgent takes, by Stable-Baselines3's names; what is not given is as `settings` has it."""

    learning_rate: float | str | Schedule
    """A number, a function of the remaining progress (1 to 0), or a text such as lin_0.001."""
    n_envs: int
    n_steps: int
    batch_size: int
    n_epochs: int
    gamma: float
    gae_lambda: float
    clip_range: float | str | Schedule
    clip_range_vf: float | str | Schedule | None
    normalize_advantage: bool
    ent_coef: float
    vf_coef: float
    max_grad_norm: float
    target_kl: float | None
    normalize_observations: bool
    """Standardise observations by running statistics, as VecNormalize does."""
    normalize_reward: bool
    """Divide rewards by the running spread of the discounted return, as VecNormalize does."""
    net_arch: list[int] | tuple[int, ...]
    log_std_init: float
    seed: int


def settings(environment: str) -> dict[str, Any]:
    """The settings to begin with in an environment."""
    return USUAL | BY_ENVIRONMENT.get(environment.rpartition(":")[2], {})


def schedule(value: Any, name: str) -> Schedule:
    """The schedule of a number, of a text such as `lin_0.001`, or of a function; PlauditError for anything else."""
    if callable(value):
        return lambda remaining: _number(value(remaining), f"{name}({remaining:.3g})")
    if isinstance(value, str) and value.startswith(LINEAR):
        start = _number(value.removeprefix(LINEAR), name)
        return lambda remaining: start * remaining
    constant = _number(value, name)
    return lambda _: constant


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise PlauditError(
            f"{name}: {value!r} is neither a number, a text such as lin_0.001, nor a function of the remaining progress"
        )
    if number < 0:
        raise PlauditError(f"{name}: must be at least 0, not {number:g}; change what is given")
    return number
