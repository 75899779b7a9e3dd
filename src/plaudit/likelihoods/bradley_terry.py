"""Bradley-Terry (1952) comparisons of summed rewards (Christiano et al. 2017, arXiv:1706.03741, eq. 1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from plaudit.batches import Comparisons, Loss
from plaudit.declared import NonNegative, Positive, Probability
from plaudit.maths.reliable import log_mixture

KIND = "comparison"


@dataclass(frozen=True)
class Config:
    """The mathematics of the likelihood."""

    scale: Positive = 1.0
    """Inverse temperature: the logit is scale * (first return - second return) + side bias."""
    label_noise: Probability = 0.0
    """Share of answers taken to be coin flips, for people without an estimated reliability."""
    centring: NonNegative = 0.0
    """Weight of (first + second)^2, which keeps returns near zero."""


def judgements(said: Sequence[tuple[float, ...]], shown: Sequence[float]) -> Comparisons:
    """Preferences: 1, 0 or .5 each."""
    return Comparisons(torch.tensor([one[0] for one in said]), shown=torch.tensor(shown))


def logits(rewards: Float[Tensor, "P 2"], judgements: Comparisons, config: Config) -> Float[Tensor, "P"]:
    """d = scale * (R_1 - R_2) + delta, where delta is the side bias of whoever judged."""
    d = config.scale * (rewards[:, 0] - rewards[:, 1])
    return d if judgements.side_bias is None else d + judgements.side_bias


def log_probabilities(
    d: Float[Tensor, "P"], judgements: Comparisons, config: Config
) -> tuple[Float[Tensor, "P"], Float[Tensor, "P"]]:
    """log P(first preferred) and log P(second preferred) by these logits.

    P(first preferred) = eta sigma(d) + (1 - eta) sigma(-d), where eta is the person's reliability.
    """
    eta = judgements.reliability
    eta = torch.full_like(d, 1 - config.label_noise / 2) if eta is None else eta
    ahead, behind = logsigmoid(d), logsigmoid(-d)
    return log_mixture(ahead, behind, eta), log_mixture(behind, ahead, eta)


def loss(rewards: Float[Tensor, "P 2"], judgements: Comparisons, config: Config) -> Loss:
    """Weighted mean negative log-likelihood of who was preferred (see `log_probabilities`).

    An equal answer counts half for either side.
    """
    j = judgements
    d = logits(rewards, j, config)
    first, second = log_probabilities(d, j, config)
    nll = -(j.preference * first + (1 - j.preference) * second)
    weight = torch.ones_like(nll) if j.weight is None else j.weight
    leaning = torch.sign(j.preference - 0.5) * d  # towards the side that won; 0 for a tie
    decided = j.preference.ne(0.5).sum().clamp(min=1)
    metrics = {
        "reward/nll": (weight * nll).sum() / weight.sum(),
        "reward/accuracy": (leaning > 0).sum() / decided,
        "reward/margin": leaning.sum() / decided,
    }
    return Loss(
        nll=metrics["reward/nll"],
        penalties={"centring": config.centring * (rewards.sum(dim=1) ** 2).mean()},
        metrics={name: value.detach() for name, value in metrics.items()},
    )
