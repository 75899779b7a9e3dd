"""Estimators of KL(p || q) from samples of p, and what a policy pays for it.

With x ~ p and log r = log q(x) - log p(x) (Schulman 2020, "Approximating KL divergence"):
k1 = -log r is unbiased and may be negative for one decision; k2 = (log r)^2 / 2 is biased, with low variance;
k3 = (r - 1) - log r is unbiased and never negative.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes
from plaudit.declared import Count, NonNegative, Positive
from plaudit.maths import masked


def k1(logp: Float[Tensor, "*S"], logq: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """log p - log q: unbiased, may be negative."""
    return logp - logq


def k2(logp: Float[Tensor, "*S"], logq: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """(log p - log q)^2 / 2: biased, low variance; its gradient in p is an unbiased gradient of the KL."""
    return (logp - logq) ** 2 / 2


def k3(logp: Float[Tensor, "*S"], logq: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """q/p - 1 - log(q/p): unbiased, >= 0."""
    log_ratio = logq - logp
    return torch.expm1(log_ratio) - log_ratio


ESTIMATORS = {"k1": k1, "k2": k2, "k3": k3}
"""By name."""


@dataclass(frozen=True)
class Kl:
    """What a policy pays for leaving a reference, as a value."""

    coef: NonNegative = 0.0
    """Price per nat of KL(policy || reference); 0: no reference is needed."""
    where: Literal["reward", "loss"] = "reward"
    """Charged in the reward of each decision, or added to the loss."""
    estimator: Literal["k1", "k2", "k3"] | None = None
    """Of the KL of a decision from its own action; none: k1 in the reward, k3 in the loss."""
    target: Positive | None = None
    """Nats per decision at which an adaptive controller holds the KL by changing the price; none: it is fixed."""
    horizon: Count = 10_000
    """Decisions over which that controller reacts."""


def in_reward(episodes: Episodes, kl: Kl) -> Episodes:
    """Charge the KL to the reference at every decision (Ziegler et al. 2019, arXiv:1909.08593, eq. 2).

    sum_t rewards = score - coef * sum_t KL_t exactly. Nothing where the price is 0 or belongs in the loss.
    """
    if kl.coef == 0 or kl.where != "reward":
        return episodes
    charge = ESTIMATORS[kl.estimator or "k1"](episodes.logp, _reference(episodes))
    price = torch.where(episodes.mask, kl.coef * charge, 0.0)
    return replace(episodes, rewards=episodes.rewards - price)


def in_loss(logp: Float[Tensor, "B T"], episodes: Episodes, kl: Kl) -> dict[str, Float[Tensor, ""]]:
    """The penalty of a loss, named `kl`: coef * the mean KL of new log-probabilities to the reference's.

    Empty where the price is 0 or is charged in the reward.
    """
    if kl.coef == 0 or kl.where != "loss":
        return {}
    reference = torch.where(episodes.mask, _reference(episodes), logp.detach())
    return {"kl": kl.coef * masked.mean(ESTIMATORS[kl.estimator or "k3"](logp, reference), episodes.mask)}


def _reference(episodes: Episodes) -> Float[Tensor, "B T"]:
    if episodes.ref_logp is None:
        raise ValueError(
            "a KL price needs episodes with ref_logp; load a reference policy or set the price to 0"
        )
    return episodes.ref_logp


def adapt(coefficient: float, current: float, target: float, decisions: int, horizon: int) -> float:
    """Proportional controller of the KL price (Ziegler et al. 2019, arXiv:1909.08593, section 2.2).

    coefficient * (1 + clip(current / target - 1, -.2, .2) * decisions / horizon). An update of more decisions than
    the horizon counts as one horizon, so that the price stays above 0.
    """
    error = min(max(current / target - 1, -0.2), 0.2)
    return coefficient * (1 + error * min(decisions / horizon, 1.0))


def best_of_n_kl(n: int) -> float:
    """KL(best of n || policy) in nats, log n - (n - 1) / n (Beirami et al. 2024, arXiv:2401.01879, abstract).

    An upper bound, close where two of n answers are hardly ever the same and no scores tie.
    """
    if n < 1:
        raise ValueError(f"the best of {n} answers is none; give 1 or more")
    return math.log(n) - (n - 1) / n
