"""A control policy on fresh episodes, by its likeliest actions and by drawn ones."""

from pathlib import Path
from typing import Any

from plaudit.environments.control.config import Control
from plaudit.environments.control.rollouts import true_returns
from plaudit.models.actor_critic import ActorCritic
from plaudit.runs import config as configs
from plaudit.runs import saved
from plaudit.runs.folder import RunFolder
from plaudit.runs.returns import Returns
from plaudit.stages.evaluate import EvaluateControl


def evaluate(policy: ActorCritic, environment: Control, episodes: int, seed: int) -> dict[str, Any]:
    """True returns by the likeliest actions, the main figure, and by drawn ones (`*_drawn`), as while it learns.

    The two may differ much: the likeliest action of a policy that has learned nothing is nearly a coin that fell once.
    """
    likeliest, drawn = (
        Returns.of(true_returns(policy, environment, episodes, seed, greedy)) for greedy in (True, False)
    )
    return _named(likeliest) | {"return_mean_drawn": drawn.mean, "return_std_drawn": drawn.std}


def evaluated(place: str, config: EvaluateControl) -> dict[str, Any]:
    """The true return of a saved policy, or of a run's, on fresh episodes."""
    folder = Path(place)
    if (folder / saved.CARD).exists():
        policy_folder, environment = folder, saved.environment_of(folder)
    else:
        run = RunFolder.open(folder)
        policy_folder, environment = run.path / "policy", configs.load(run.config).environment
        assert isinstance(environment, Control)
    policy = saved.load_policy(policy_folder, environment.id)
    if config.sample:
        return _named(Returns.of(true_returns(policy, environment, config.episodes, config.seed, False)))
    return evaluate(policy, environment, config.episodes, config.seed)


def _named(returns: Returns) -> dict[str, Any]:
    return {"return_mean": returns.mean, "return_std": returns.std, "episodes": returns.episodes}
