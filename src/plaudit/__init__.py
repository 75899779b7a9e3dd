"""plaudit: learn what people want from what they say about behaviour, and make a policy do more of it.

`plaudit.envs`, `plaudit.agents`, `plaudit.ppo`, `plaudit.RewardModel`, `plaudit.load_feedback`, `plaudit.PPOTrainer`
and `plaudit.PPOConfig` are imported when they are first asked for: `import plaudit` alone needs no other library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from plaudit import old_python_names

if TYPE_CHECKING:
    from plaudit import agents, envs, ppo
    from plaudit.api.feedback import load_feedback
    from plaudit.api.reward import RewardModel
    from plaudit.api.trainer import PPOConfig, PPOTrainer

__all__ = ["PPOConfig", "PPOTrainer", "RewardModel", "agents", "envs", "load_feedback", "ppo"]

_HOMES = {
    "PPOConfig": "plaudit.api.trainer",
    "PPOTrainer": "plaudit.api.trainer",
    "RewardModel": "plaudit.api.reward",
    "load_feedback": "plaudit.api.feedback",
}
old_python_names.install()


def __getattr__(name: str) -> Any:
    """Import what was asked for; a library that is missing is named with the extra that brings it."""
    if name not in __all__:
        raise AttributeError(f"module 'plaudit' has no attribute {name!r}")
    try:
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        return import_module(f"plaudit.{name}")
    except ModuleNotFoundError as error:
        from plaudit.errors import missing

        explained = missing(error)
        if explained is None:
            raise
        raise explained from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
