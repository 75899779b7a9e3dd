"""Agents as folders: the policy as the pipeline saves it, the settings, and where learning stands."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.faces.environments import GymEnv
from plaudit.pipeline.checkpoint import load_tree, save_tree
from plaudit.pipeline.control import saved
from plaudit.pipeline.run_folder import write_whole

CARD, LEARNING = "agent.json", "learning"
FUNCTION = "a function"
"""In place of a schedule that no file can hold."""


def save(folder: Path, agent: Any) -> None:
    """Write an agent; a policy is readable by `plaudit evaluate` and every other command."""
    saved.save_policy(folder, agent.policy, agent.config.environment)
    settings = {name: FUNCTION if callable(v) else v for name, v in agent.hyper_parameters.items()}
    write_whole(folder / CARD, json.dumps({"hyper_parameters": settings}, indent=2) + "\n")
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
    made_in = saved.environment_of(folder)
    known = _settings(folder) | dict(given)
    lost = next((name for name, value in known.items() if value == FUNCTION), None)
    if lost is not None:
        raise PlauditError(
            f"{folder}: its {lost} was a function, which no file holds; give it again: load(folder, {lost}=...)"
        )
    agent = cls(GymEnv(made_in.id, **made_in.kwargs) if env is None else env, **known)
    agent.adopt(saved.load_policy(folder, agent.env.id, agent.control.spaces))
    if (folder / LEARNING).exists() and not given:
        _go_on(agent, load_tree(folder / LEARNING), folder)
    return agent


def _settings(folder: Path) -> dict[str, Any]:
    """The settings an agent was saved with; none for a policy that no agent saved."""
    if not (folder / CARD).exists():
        return {}
    try:
        return dict(json.loads((folder / CARD).read_text(encoding="utf-8"))["hyper_parameters"])
    except (ValueError, KeyError, TypeError) as error:
        raise PlauditError(f"{folder / CARD}: damaged ({error!r}); restore it from a copy") from None


def _go_on(agent: Any, tree: Any, folder: Path) -> None:
    state = agent.state
    try:
        state.optimiser.load_state_dict(tree["optimiser"])
        state.generator.set_state(tree["generator"])
        state.updates, state.decisions = tree["updates"], tree["decisions"]
        agent.control.load_state_dict(tree["control"])
        agent.drawing.set_state(tree["drawing"])
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise PlauditError(
            f"{folder / LEARNING}: does not fit the policy ({' '.join(str(error).split())}); delete this folder to "
            "begin learning anew"
        ) from None
