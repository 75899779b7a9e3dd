"""Arguments by name: an unknown one is an error that suggests the nearest; and what `progress_bar=True` shows."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from numbers import Real
from typing import Any, TypedDict

import numpy as np
from rich.console import Console
from torch import Tensor

from plaudit.errors import Diverged, PlauditError
from plaudit.trackers.console import ProgressBar


def refuse_unknown(given: Collection[str], known: Collection[str], where: str) -> None:
    """Raise PlauditError for the first name that is not known."""
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise PlauditError(f"{where}: unknown argument {name!r}; {hint}")


@contextmanager
def divergence_named(settings: str) -> Iterator[None]:
    """Say with the names of an interface which settings to lower where learning diverges."""
    try:
        yield
    except Diverged as error:
        raise Diverged(error.what, f"lower {settings}") from None


def plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same with numbers and arrays of NumPy and torch as Python's own, which configs and files hold."""
    return {
        name: v.tolist() if isinstance(v, np.generic | np.ndarray | Tensor) else v
        for name, v in given.items()
    }


def positive(value: float, name: str) -> int:
    """A whole number above 0; PlauditError for anything else."""
    whole = isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer()
    if not whole or value < 1:
        raise PlauditError(f"{name}: {value!r} is not a whole number above 0")
    return int(float(value))


Watch = Callable[[dict[str, Any]], None]
"""Is told the metrics of every update."""


def callbacks(given: Watch | Sequence[Watch] | None) -> list[Watch]:
    """One or several as a list; PlauditError for what cannot be called."""
    found = list(given) if isinstance(given, Sequence) else [] if given is None else [given]
    for one in found:
        if not callable(one):
            raise PlauditError(
                f"callback: a {type(one).__name__} cannot be called; give a function of the metrics, or a list of them"
            )
    return found


@contextmanager
def bar(title: str, total: int, wanted: bool, counted: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A bar that is told the metrics of every update; without one they go nowhere."""
    if not wanted:
        yield lambda row: None
        return
    shown = ProgressBar(title, total, Console(stderr=True), counted)
    try:
        yield shown.write
    finally:
        shown.close()


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
    use_sde: bool
    """Explore by noise that depends on the state, drawn anew where a rollout begins."""
    seed: int


def settings(environment: str) -> dict[str, Any]:
    """The settings to begin with in an environment."""
    return USUAL | BY_ENVIRONMENT.get(environment.rpartition(":")[2], {})


def schedule(value: float | str | Schedule, name: str) -> Schedule:
    """The schedule of a number, of a text such as `lin_0.001`, or of a function; PlauditError for anything else."""
    if callable(value):
        return lambda remaining: _number(value(remaining), f"{name}({remaining:.3g})")
    if isinstance(value, str) and value.startswith(LINEAR):
        start = _number(value.removeprefix(LINEAR), name)
        return lambda remaining: start * remaining
    constant = _number(value, name)
    return lambda _: constant


def _number(value: float | str, name: str) -> float:
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
