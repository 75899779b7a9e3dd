"""Strengths as fractional Bradley-Terry preferences."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from plaudit.batches import Loss
from plaudit.declared import Positive

KIND = "strength"


@dataclass(frozen=True)
class Strengths:
    """P strengths."""

    value: Float[Tensor, "P"]
    """From -1 (the second) to 1 (the first)."""
    shown: Float[Tensor, "P"]
    side_bias: Float[Tensor, "P"] | None = None
    person: Int[Tensor, "P"] | None = None

    @property
    def width(self) -> int:
        """Two options."""
        return 2


@dataclass(frozen=True)
class Config:
    """The mathematics of the likelihood."""

    scale: Positive = 1.0
    """Inverse temperature."""


def judgements(said: Sequence[tuple[float, ...]], shown: Sequence[float]) -> Strengths:
    """Parts of the most that can be said."""
    return Strengths(torch.tensor([one[0] for one in said]), torch.tensor(shown))


def loss(rewards: Float[Tensor, "P 2"], judgements: Strengths, config: Config) -> Loss:
    """Mean of -(u log sigma(d) + (1 - u) log sigma(-d)), u = (1 + strength) / 2."""
    d = config.scale * (rewards[:, 0] - rewards[:, 1])
    d = d if judgements.side_bias is None else d + judgements.side_bias
    u = (1 + judgements.value) / 2
    nll = -(u * logsigmoid(d) + (1 - u) * logsigmoid(-d)).mean()
    right = (d * judgements.value > 0).float().mean()
    return Loss(nll=nll, metrics={"reward/nll": nll.detach(), "reward/accuracy": right.detach()})
