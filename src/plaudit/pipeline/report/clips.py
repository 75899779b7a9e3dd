"""What the report needs of behaviour: episodes of the policy before and after, and a clip of each."""

import base64
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from plaudit.environments.control.collect import Control, environment_reward
from plaudit.environments.control.make import EnvironmentConfig, make
from plaudit.environments.control.rendering import animation, frames, frames_per_second
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic

EPISODES, LONGEST, SHOWN = 16, 1000, 200


@dataclass(frozen=True)
class Behaviour:
    """A few episodes of one policy."""

    true_returns: np.ndarray
    learned_returns: np.ndarray | None
    clip: str
    """A data: URI of an animation, or empty."""
    reason: str
    """Why there is no clip."""


@torch.no_grad()
def behaviour(
    policy: ActorCritic, environment: EnvironmentConfig, reward: Any | None, seed: int
) -> Behaviour:
    """Play the first episode of each of some environments (cut at a thousand steps) and film one."""
    source = make(replace(environment, envs=EPISODES))
    try:
        control = Control(source, min(source.horizon or LONGEST, LONGEST), seed)
        walk, _ = control.walk(policy)
        ended = walk.ended.long().cumsum(dim=1) - walk.ended.long()
        first = walk.mask & (ended == 0)
        true = torch.where(first, environment_reward(walk.record), 0.0).sum(dim=1).numpy()
        learned = None if reward is None else torch.where(first, reward(walk.record), 0.0).sum(dim=1).numpy()
        row = int(np.argsort(true)[len(true) // 2])  # neither the luckiest nor the unluckiest
        clip, reason = _film(source, row, int(first[row].sum()))
        return Behaviour(true, learned, clip, reason)
    finally:
        source.close()


def _film(source: Any, row: int, length: int) -> tuple[str, str]:
    try:
        replay = source.tape.replay(row, 0, min(length, SHOWN) - 1)
        pictures = frames(replay, (200, 200))[::2]
        data = animation(pictures, max(1.0, frames_per_second(replay) / 2))
        return "data:image/webp;base64," + base64.b64encode(data).decode(), ""
    except PlauditError as error:
        return "", str(error)
