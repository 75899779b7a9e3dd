"""Agents as folders: the policy as the pipeline saves it, the settings, and where learning stands."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from plaudit.api.environments import GymEnv
from plaudit.environments.control.rollouts import environment_reward
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import PolicyConfig
from plaudit.models.transitions import Transitions
from plaudit.runs import aliases, saved
from plaudit.runs.checkpoint import load_tree, save_tree
from plaudit.runs.folder import write_whole

CARD, LEARNING = "agent.json", "learning"
FUNCTION = "a function"
"""In place of a schedule, an environment or a reward that no file can hold."""
BEGINNING = ("n_envs", "normalize_reward", "seed")
"""Settings that the running episodes depend on."""


def save(folder: Path, agent: Any) -> None:
    """Write an agent; a policy is readable by `plaudit evaluate` and every other command."""
    saved.save_policy(folder, agent.policy, agent.config.environment)
    settings = {name: FUNCTION if callable(v) else v for name, v in agent.hyper_parameters.items()}
    card: dict[str, Any] = {"hyper_parameters": settings}
    card |= {} if agent.env.function is None else {"env": FUNCTION}
    card |= {} if agent.reward is environment_reward else {"reward": FUNCTION}
    write_whole(folder / CARD, json.dumps(card, indent=2) + "\n")
    state = agent.state
    save_tree(
        folder / LEARNING,
        {
            "optimiser": state.optimiser.state_dict(),
            "generator": state.generator.get_state(),
            "updates": state.updates,
            "decisions": state.decisions,
            "control": agent.control.state_dict(),
            "drawing": agent.drawing.get_state(),
        },
    )


def load(cls: Any, folder: Path, env: Any, given: Mapping[str, Any]) -> Any:
    """An agent from its folder, or around the policy of another folder, whose learning begins anew."""
    made_in, card = saved.environment_of(folder), _card(folder)
    known = card.get("hyper_parameters", {}) | dict(given)
    needed = known | {"env": card.get("env") if env is None else env}
    lost = next((name for name, v in needed.items() if isinstance(v, str) and v == FUNCTION), None)
    if lost is not None:
        raise PlauditError(
            f"{folder}: its {lost} was a function, which no file holds; give it again: load(folder, {lost}=...)"
        )
    agent = cls(GymEnv(made_in.id, **made_in.kwargs) if env is None else env, **known)
    policy = saved.load_policy(folder, agent.env.id, agent.control.spaces)
    refuse_other_networks(given, agent.config.policy, policy.config)
    agent.adopt(policy)
    if "reward" in card:
        agent.reward = forgotten
    if (folder / LEARNING).exists():
        _go_on(agent, load_tree(folder / LEARNING), folder, fresh=any(name in given for name in BEGINNING))
    return agent


def refuse_other_networks(given: Mapping[str, Any], wanted: PolicyConfig, there: PolicyConfig) -> None:
    """Raise PlauditError where a setting of the networks was given that those of a saved policy do not have."""
    for name in given:
        part, _, field = (
            aliases.CONTROL[name].field.partition(".") if name in aliases.CONTROL else ("", "", "")
        )
        if part == "policy" and getattr(wanted, field) != getattr(there, field):
            raise PlauditError(
                f"{name}: the saved policy was made with {getattr(there, field)}, which cannot change; leave it out"
            )


def forgotten(record: Transitions) -> Tensor:
    """In place of a reward that no file can hold: without it, learning would go on for another one unasked."""
    raise PlauditError(
        "reward: the saved agent learned from a reward of its own, which no file holds; set agent.reward again, or to "
        "plaudit.agents.environment_reward"
    )


def _card(folder: Path) -> dict[str, Any]:
    """What is known of a saved agent; nothing of a policy that no agent saved."""
    if not (folder / CARD).exists():
        return {}
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        return dict(card) | {"hyper_parameters": dict(card["hyper_parameters"])}
    except (ValueError, KeyError, TypeError) as error:
        raise PlauditError(f"{folder / CARD}: damaged ({error!r}); restore it from a copy") from None


def _go_on(agent: Any, tree: Any, folder: Path, fresh: bool) -> None:
    """Learning stands where it stood; `fresh`: but in new episodes, with new draws."""
    state = agent.state
    try:
        state.optimiser.load_state_dict(tree["optimiser"])
        state.updates, state.decisions = tree["updates"], tree["decisions"]
        if not fresh:
            state.generator.set_state(tree["generator"])
            agent.control.load_state_dict(tree["control"])
            agent.drawing.set_state(tree["drawing"])
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise PlauditError(
            f"{folder / LEARNING}: does not fit the policy ({' '.join(str(error).split())}); delete this folder to "
            "begin learning anew"
        ) from None
