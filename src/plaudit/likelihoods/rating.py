"""Ratings as fractional responses to a summed reward (Papke and Wooldridge 1996, J. of Applied Econometrics 11(6))."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from plaudit.batches import Loss, Ratings
from plaudit.declared import Positive, Probability
from plaudit.maths.reliable import log_mixture

KIND = "rating"


@dataclass(frozen=True)
class Config:
    """The mathematics of the likelihood."""

    scale: Positive = 1.0
    """Inverse temperature: the expected rating is sigma(scale * return + leniency)."""
    label_noise: Probability = 0.0
    """Share of ratings taken to be coin flips, for people without an estimated reliability."""


def judgements(said: Sequence[tuple[float, ...]], shown: Sequence[float]) -> Ratings:
    """Values from 0 to 1; there is but one option that could be shown."""
    return Ratings(torch.tensor([one[0] for one in said]))


def loss(rewards: Float[Tensor, "N 1"], judgements: Ratings, config: Config) -> Loss:
    """Weighted mean of -(u log p + (1 - u) log(1 - p)): the quasi-likelihood of a rating u in [0, 1].

    p = eta sigma(d) + (1 - eta) sigma(-d), d = scale * R + delta, where eta is the person's reliability and delta their
    leniency. A return of 0 is the middle of the scale, however many values it has. Thumbs are u = 1 and u = 0, whose
    likelihood this is.
    """
    j = judgements
    d = config.scale * rewards[:, 0]
    if j.leniency is not None:
        d = d + j.leniency
    eta = torch.full_like(d, 1 - config.label_noise / 2) if j.reliability is None else j.reliability
    high, low = logsigmoid(d), logsigmoid(-d)
    nll = -(j.value * log_mixture(high, low, eta) + (1 - j.value) * log_mixture(low, high, eta))
    weight = torch.ones_like(nll) if j.weight is None else j.weight
    total = (weight * nll).sum() / weight.sum()
    side = torch.sign(j.value - 0.5) * d  # towards the half of the scale that was meant; 0 in the middle
    decided = j.value.ne(0.5).sum().clamp(min=1)
    metrics = {
        "reward/nll": total,
        "reward/accuracy": (side > 0).sum() / decided,
        "reward/error": (d.sigmoid() - j.value).abs().mean(),
    }
    return Loss(nll=total, metrics={name: value.detach() for name, value in metrics.items()})
