"""Transitions: the record of control, which only policies and reward models of control read."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Transitions:
    """B rows of T environment steps; of pairs [P, 2, T, ...]."""

    observations: Float[Tensor, "*B T F"]
    """s_t, flattened, as the environment gave it (not standardised)."""
    actions: Tensor
    """The policy's choice [B, T] (index from 0), [B, T, K] (indices from 0, or switches) or [B, T, A] (in its own
    normalised space, before clipping)."""
    executed: Float[Tensor, "*B T X"]
    """What the environment was given: one-hot for discrete actions, one after another where there are several,
    clipped and rescaled for continuous ones."""
    successors: Float[Tensor, "*B T F"]
    """The true s_{t+1}, before any reset."""
    environment_rewards: Float[Tensor, "*B T"]
    """The environment's own reward: for plain RL, for simulated people and for the report."""
    ends: Float[Tensor, "*B T"] = None  # type: ignore[assignment]
    """1 where the step terminated its episode, else 0; none given: nowhere."""
    legal: Bool[Tensor, "*B T X"] | None = None
    """Which actions the environment allowed (its action masks); none: it says nothing of that."""

    def __post_init__(self) -> None:
        """What says nothing of ends has none."""
        if self.ends is None:
            object.__setattr__(self, "ends", torch.zeros_like(self.environment_rewards))
