"""Policies and reward models as folders: weights as safetensors, and what they fit as JSON."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from plaudit.environments.control.config import Control, absolute
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic, PolicyConfig, Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.runs import settings
from plaudit.storage.artifacts import write_whole

WEIGHTS, CARD = "model.safetensors", "plaudit.json"


def save_policy(folder: Path, policy: ActorCritic, environment: Control) -> None:
    """Write a control policy with the environment it was made for, which is found again from anywhere."""
    environment = replace(environment, id=absolute(environment.id))
    card = {"kind": "control_policy", "environment": environment.id, "config": settings.dump(policy.config)}
    _save(folder, policy, card | {"made_in": settings.dump(environment)})


def load_policy(
    folder: str | Path, environment: str | None = None, spaces: Spaces | None = None
) -> ActorCritic:
    """A control policy; refuses one made for another environment or other spaces."""
    folder = _within(folder, "policy")
    card = _card(folder, "control_policy")
    if environment is not None and _bare(card["environment"]) != _bare(environment):
        raise PlauditError(
            f"{folder}: this policy was made for {card['environment']}, not for {environment}; give one made for it"
        )
    config = settings.build(PolicyConfig, card["config"], f"{folder}/{CARD}")
    policy = ActorCritic(_spaces(card, folder, spaces), config, torch.Generator())
    _load(policy, Path(folder))
    return policy


def save_reward(folder: Path, model: RewardEnsemble, about: dict[str, Any]) -> None:
    """Write a reward model; `about` says what it was learned from."""
    _save(folder, model, {"kind": "control_reward", "config": asdict(model.config), "about": about})


def load_reward(folder: str | Path, spaces: Spaces | None = None) -> RewardEnsemble:
    """A reward model for control."""
    folder = _within(folder, "reward")
    card = _card(folder, "control_reward")
    config = settings.build(RewardConfig, card["config"], f"{folder}/{CARD}")
    model = RewardEnsemble(_spaces(card, folder, spaces), config, torch.Generator())
    _load(model, Path(folder))
    return model


def about_reward(folder: str | Path) -> dict[str, Any]:
    """What a saved reward model was learned from."""
    about = _card(_within(folder, "reward"), "control_reward").get("about")
    return about if isinstance(about, dict) else {}


def environment_of(folder: str | Path) -> Control:
    """The environment a saved policy was made for, with its settings."""
    card = _card(_within(folder, "policy"), "control_policy")
    return settings.build(Control, card["made_in"], f"{folder}/{CARD}: made_in")


def _within(folder: str | Path, name: str) -> Path:
    """The folder of a model: itself, or the one in a run folder."""
    inner = Path(folder) / name
    return inner if (inner / CARD).exists() and not (Path(folder) / CARD).exists() else Path(folder)


def _bare(environment: str) -> str:
    """Without the module that registers it."""
    return environment.rpartition(":")[2]


def _save(folder: Path, model: ActorCritic | RewardEnsemble, card: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().contiguous().clone() for name, tensor in model.state_dict().items()}
    write_whole(folder / WEIGHTS, save(weights))
    write_whole(folder / CARD, json.dumps(card | {"spaces": asdict(model.spaces)}, indent=2) + "\n")


def _card(folder: Path, kind: str) -> dict[str, Any]:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlauditError(f"{folder}: no model saved by plaudit is here ({CARD} is missing)") from None
    except ValueError as error:
        raise PlauditError(f"{folder / CARD}: damaged ({error}); restore it from a copy") from None
    if not isinstance(card, dict):
        raise PlauditError(f"{folder / CARD}: damaged (not a mapping); restore it from a copy")
    if card.get("kind") != kind:
        raise PlauditError(f"{folder}: holds a {card.get('kind')}, not a {kind}; give another folder")
    wanted = {"config": dict, "spaces": dict} | (
        {"environment": str, "made_in": dict} if kind == "control_policy" else {}
    )
    for name, form in wanted.items():
        if not isinstance(card.get(name), form):
            raise PlauditError(f"{folder / CARD}: damaged (no `{name}`); restore it from a copy")
    return card


def _spaces(card: dict[str, Any], folder: Path, wanted: Spaces | None) -> Spaces:
    spaces = settings.build(Spaces, card["spaces"], f"{folder}/{CARD}: spaces")
    if wanted is not None and card["kind"] == "control_reward":
        spaces = replace(spaces, kind=wanted.kind, choices=wanted.choices)  # a reward sees numbers alone
    if wanted is not None and spaces != wanted:
        raise PlauditError(
            f"{folder}: fits {spaces}, but the environment has {wanted}; give a model made for it"
        )
    return spaces


def _load(model: ActorCritic | RewardEnsemble, folder: Path) -> None:
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except FileNotFoundError:
        raise PlauditError(f"{folder}: {WEIGHTS} is missing; restore it from a copy") from None
    except (SafetensorError, RuntimeError) as error:
        raise PlauditError(
            f"{folder / WEIGHTS}: damaged or of another shape ({str(error).splitlines()[0]})"
        ) from None


def copied(policy: ActorCritic) -> ActorCritic:
    """The policy as it is now, which learning no longer changes."""
    same = ActorCritic(policy.spaces, policy.config, torch.Generator())
    same.load_state_dict({name: tensor.clone() for name, tensor in policy.state_dict().items()})
    return same
