"""What a learned reward says of steps and of texts, and its folder; each kind imports only what it needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plaudit.errors import PlauditError
from plaudit.readers.judgements import Medium


@torch.no_grad()
def of_steps(model: Any, observations: Any, actions: Any, successors: Any) -> np.ndarray:
    """The reward [N] of N steps, each flattened."""
    from plaudit.models.transitions import Transitions

    seen, given, following = (
        torch.from_numpy(np.asarray(array, dtype=np.float32).reshape(len(array), 1, -1))
        for array in (observations, actions, successors)
    )
    known, found = model.spaces, (seen.shape[-1], given.shape[-1])
    if found != (known.observation, known.action) or following.shape != seen.shape:
        raise PlauditError(
            f"reward_model: it knows {known.observation} numbers of observation and {known.action} of action, but was "
            f"given {found[0]} and {found[1]}; fit one to feedback about this environment"
        )
    record = Transitions(seen, given, given, following, torch.zeros(seen.shape[:2]))
    return model.reward(record)[:, 0].numpy()


@torch.no_grad()
def of_texts(model: Any, prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    """What N answers are worth to a policy."""
    from plaudit.models.language.loading import context_of
    from plaudit.models.language.reward_model import texts
    from plaudit.pipeline.language.learn_reward import encode

    if len(prompts) != len(completions):
        raise PlauditError(f"completions: {len(completions)} for {len(prompts)} prompts; give one for each")
    most = context_of(model.model) or 1024
    rows = [encode(model, *pair)[-most:] for pair in zip(prompts, completions, strict=True)]
    return model.rewards(texts(rows, model.device)).tolist()


def save(folder: Path, model: Any, about: dict[str, Any]) -> None:
    """Write a reward model of either kind."""
    if hasattr(model, "vocabulary"):
        from plaudit.models.language import reward_model

        return reward_model.save(folder, model)
    from plaudit.runs import saved

    return saved.save_reward(folder, model, about)


def load(folder: Path) -> tuple[Any, Medium, str | None]:
    """A reward model, what it judges, and for control the environment."""
    if (folder / "config.json").exists() or (folder / "reward" / "config.json").exists():
        from plaudit.models.language import reward_model

        inner = folder if (folder / "config.json").exists() else folder / "reward"
        return reward_model.trained(str(inner)), "text", None
    from plaudit.runs import saved

    return saved.load_reward(folder), "control", saved.about_reward(folder).get("environment")
