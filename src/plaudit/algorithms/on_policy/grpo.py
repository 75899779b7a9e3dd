"""Group relative policy optimisation (Shao et al. 2024, arXiv:2402.03300, eq. 3 and 4)."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes, Loss, Needs, Scores
from plaudit.declared import NonNegative
from plaudit.maths import groups, kl, masked
from plaudit.maths.kl import Kl
from plaudit.maths.returns import row_returns


@dataclass(frozen=True)
class Config:
    """The mathematics of GRPO."""

    clip: NonNegative = 0.2
    """Range epsilon of the probability ratio outside which the surrogate is flat."""
    divide_by_spread: bool = True
    """Divide by the standard deviation of the group's returns; without it, Dr. GRPO (Liu et al. 2025, eq. 4)."""
    per: Literal["row", "decision"] = "row"
    """Each row weighs alike, whatever its length (the paper), or each decision does (Dr. GRPO, DAPO)."""
    kl: Kl = Kl(where="loss")
    """The price of leaving the reference: k3 in the loss, as in the paper."""
    entropy_coef: NonNegative = 0.0
    """Weight of the entropy bonus."""


SPREAD_EPS = 1e-4
"""Added to the standard deviation, which is 0 where a group is of one mind."""


def needs(config: Config) -> Needs:
    """Groups of whole episodes, no critic."""
    return Needs(reference=config.kl.coef > 0, unit="episodes", group=2)


def advantages(episodes: Episodes, config: Config) -> Float[Tensor, "B T"]:
    """(R_i - mean) / std of its group, at every decision of the row (section 4.1.2)."""
    charged = kl.in_reward(episodes, config.kl)
    assert charged.group is not None, "GRPO needs rows in groups"
    returns = row_returns(charged)
    advantage = groups.centred(returns, charged.group)
    if config.divide_by_spread:
        advantage = advantage / (groups.spread(returns, charged.group) + SPREAD_EPS)
    advantage = torch.where(groups.alike(returns, charged.group), 0.0, advantage)  # rounding is no preference
    return advantage[:, None] * charged.mask


def loss(new: Scores, episodes: Episodes, advantages: Float[Tensor, "B T"], config: Config) -> Loss:
    """The clipped surrogate of every decision, averaged over its row and then over rows (eq. 3)."""
    e = episodes
    old = torch.where(e.mask, e.logp, new.logp.detach())
    ratio = (new.logp - old).exp()
    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
    surrogate = torch.maximum(-advantages * ratio, -advantages * clipped)
    policy = (
        masked.mean(surrogate, e.mask) if config.per == "decision" else masked.row_mean(surrogate, e.mask)
    )
    entropy = masked.mean(new.entropy, e.mask)
    metrics = {
        "loss/policy_avg": policy,
        "policy/approxkl_avg": masked.mean(kl.k3(old, new.logp), e.mask),
        "policy/clipfrac_avg": masked.mean(ratio.ne(clipped).to(ratio.dtype), e.mask),
        "policy/entropy_avg": entropy,
        "val/ratio": masked.mean(ratio, e.mask),
    }
    return Loss(
        policy,
        {name: value.detach() for name, value in metrics.items()},
        entropy=-config.entropy_coef * entropy,
        penalties=kl.in_loss(new.logp, e, config.kl),
    )
