"""Trust region policy optimisation (Schulman et al. 2015, arXiv:1502.05477, eq. 14)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes, Loss, Needs, Scores
from plaudit.declared import NonNegative, Probability
from plaudit.maths import kl, masked
from plaudit.maths.advantage import GAE, Estimator, advantage
from plaudit.maths.kl import Kl


@dataclass(frozen=True)
class Config:
    """The mathematics of TRPO; the size of the region and the search in it are the trainer's step."""

    discount: Probability | None = None
    """Discount gamma of future rewards per decision; none: the environment's."""
    advantage: Estimator = GAE(0.97)
    """How advantages are estimated."""
    standardise_advantages: bool = True
    """Give the advantages of each batch mean 0 and variance 1."""
    entropy_coef: NonNegative = 0.0
    """Weight of the entropy bonus, part of the surrogate."""
    kl: Kl = Kl()
    """The price of leaving a reference policy."""


def needs(config: Config) -> Needs:
    """A step in a trust region, and a critic where advantages are estimated with one."""
    return Needs(
        critic=isinstance(config.advantage, GAE),
        reference=config.kl.coef > 0,
        step="trust_region",
        discount=config.discount,
    )


def advantages(episodes: Episodes, config: Config) -> Float[Tensor, "B T"]:
    """Advantages of the rewards after the KL price."""
    return advantage(kl.in_reward(episodes, config.kl), config.discount, config.advantage)


def loss(new: Scores, episodes: Episodes, advantages: Float[Tensor, "B T"], config: Config) -> Loss:
    """The surrogate -E[ratio * A] with the entropy bonus, KL(old || new) beside it, and the error of the critic.

    KL by k3 on the actions that the old policy drew: never negative, and its Hessian at the old policy is the
    average of grad log pi grad log pi^T, the Fisher matrix of the sample (appendix C.1).
    """
    e = episodes
    a = masked.standardise(advantages, e.mask) if config.standardise_advantages else advantages
    old = torch.where(e.mask, e.logp, new.logp.detach())
    policy = -masked.mean((new.logp - old).exp() * a, e.mask)
    entropy = masked.mean(new.entropy, e.mask)
    moved = masked.mean(kl.k3(old, new.logp), e.mask)
    value = None
    if new.values is not None and e.values is not None:
        target = torch.where(e.mask, advantages + e.values, new.values.detach())
        value = 0.5 * masked.mean((new.values - target) ** 2, e.mask)
    metrics = {"loss/policy_avg": policy, "policy/approxkl_avg": moved, "policy/entropy_avg": entropy}
    if value is not None:
        metrics["loss/value_avg"] = value
    return Loss(
        policy,
        {name: part.detach() for name, part in metrics.items()},
        entropy=-config.entropy_coef * entropy,
        value=value,
        penalties=kl.in_loss(new.logp, e, config.kl),
        kl=moved,
    )
