"""Estimators of KL(p || q) from samples of p, and what a policy pays for it.

With x ~ p and log r = log q(x) - log p(x) (Schulman 2020, "Approximating KL divergence"):
k1 = -log r is unbiased and may be negative for one decision; k2 = (log r)^2 / 2 is biased, with low variance;
k3 = (r - 1) - log r is unbiased and never negative.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes


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


def in_reward(episodes: Episodes, coefficient: float) -> Episodes:
    """Charge coefficient * k1(policy || reference) at every decision (Ziegler et al. 2019, arXiv:1909.08593, eq. 2).

    sum_t rewards = score - coefficient * sum_t KL_t exactly. A coefficient of 0 needs no reference.
    """
    if coefficient == 0:
        return episodes
    if episodes.ref_logp is None:
        raise ValueError(
            "a KL price needs episodes with ref_logp; load a reference policy or set the price to 0"
        )
    price = torch.where(episodes.mask, coefficient * k1(episodes.logp, episodes.ref_logp), 0.0)
    return replace(episodes, rewards=episodes.rewards - price)


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
