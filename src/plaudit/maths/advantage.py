"""How an advantage is estimated, as a value: `GAE(lam)` or `MonteCarlo()`."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes
from plaudit.declared import Probability
from plaudit.maths.gae import gae
from plaudit.maths.returns import complete, returns_to_go


@dataclass(frozen=True)
class GAE:
    """Generalised advantage estimation: needs a critic, works on pieces of episodes."""

    lam: Probability = 0.95
    """Trace decay lambda: 0 trusts the critic, 1 trusts the rewards."""


@dataclass(frozen=True)
class MonteCarlo:
    """Return-to-go minus the baseline, on episodes that terminate inside the rollout; others are left out."""


Estimator = GAE | MonteCarlo


def advantage(episodes: Episodes, discount: float | None, estimator: Estimator) -> Float[Tensor, "B T"]:
    """The advantage of every decision by the chosen estimator; 0 outside the mask, NaN where there is no estimate.

    Without a discount of its own, by that of the environment.
    """
    discount = episodes.discount if discount is None else discount
    if isinstance(estimator, GAE):
        return gae(episodes, discount, estimator.lam)
    gain = returns_to_go(episodes, discount)
    baseline = torch.zeros_like(gain) if episodes.values is None else episodes.values
    return torch.where(complete(episodes), gain - baseline, torch.where(episodes.mask, torch.nan, 0.0))


def with_estimate(
    episodes: Episodes, advantages: Float[Tensor, "B T"]
) -> tuple[Episodes, Float[Tensor, "B T"]]:
    """The episodes without the decisions whose advantage is not known (NaN), and the advantages with 0 there."""
    known = ~advantages.isnan()
    return replace(episodes, mask=episodes.mask & known), torch.where(known, advantages, 0.0)
