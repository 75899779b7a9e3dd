"""Which environment a run is in: plain values, so that a config is read without the library of environments."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from plaudit.declared import Count, Probability


@dataclass(frozen=True)
class Control:
    """Which environment, how many of it, and how they are run."""

    id: str
    """Gymnasium's id, such as CartPole-v1 (or module:Name-v0 to import the module that registers it); or the place of a
    class, or of a function that makes one: module:Env, path/to/file.py:Env."""
    envs: Count = 8
    """How many run side by side."""
    vectorization: Literal["auto", "numpy", "sync", "async", "vector_entry_point"] = "auto"
    """numpy: our own; sync, async, vector_entry_point: Gymnasium's; auto: our own, or sync."""
    autoreset: Literal["same_step", "next_step", "disabled"] = "same_step"
    """How sync and async reset ended episodes; the results are the same. Others know one way and take it."""
    horizon: Literal["task", "fixed"] = "task"
    """fixed: an ended episode stays where it is, with reward 0, until the time limit (sync, async)."""
    resume: Literal["exact", "statistical"] = "exact"
    """exact: unfinished episodes are replayed where that is possible; statistical: fresh ones begin."""
    n_steps: Count = 128
    """Steps of each environment per rollout."""
    group: Count = 1
    """Episodes from each initial state, for algorithms that compare them with one another (grpo, rloo)."""
    discount: Probability = 0.99
    """The usual discount of future rewards per step, where an algorithm is not given one of its own."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the environment, such as {max_episode_steps: 200}."""


def in_file(place: str) -> bool:
    """Whether this names something in a Python file, rather than a module or a registered environment."""
    return place.endswith(".py") or place.rpartition(":")[0].endswith(".py")


def absolute(place: str) -> str:
    """The place with the absolute path of its file, where it is one: found again from anywhere."""
    if not in_file(place):
        return place
    file, colon, name = (place, "", "") if place.endswith(".py") else place.rpartition(":")
    path = Path(file).expanduser()
    return f"{path.absolute() if path.exists() else file}{colon}{name}"
