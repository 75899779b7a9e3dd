"""REINFORCE, the plain policy gradient (Williams 1992; Sutton et al. 2000, Theorem 1, eq. 2)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes, Loss, Needs, Scores
from plaudit.declared import Finite, NonNegative, Probability
from plaudit.maths import kl, masked
from plaudit.maths.advantage import GAE, Estimator, MonteCarlo, advantage
from plaudit.maths.kl import Kl


@dataclass(frozen=True)
class ReturnToGo:
    """What followed the decision, without a baseline, on episodes that terminate inside the rollout."""


@dataclass(frozen=True)
class CriticQ:
    """The critic's one-step look ahead Q(s, a) = r + discount V(s')."""


@dataclass(frozen=True)
class Config:
    """The mathematics of the plain policy gradient; take one epoch per rollout."""

    discount: Probability | None = None
    """Discount gamma of future rewards per decision; none: the environment's, 1 for text."""
    weight: ReturnToGo | CriticQ | Estimator = GAE(0.95)
    """What multiplies the log-probability: the return-to-go, the critic's Q, or an advantage."""
    standardise_weights: bool = True
    """Give the weights of each minibatch mean 0 and variance 1."""
    value_coef: NonNegative = 0.5
    """Weight of the value loss, where there is a critic."""
    entropy_coef: Finite = 0.0
    """Weight of the entropy bonus."""
    kl: Kl = Kl()
    """The price of leaving a reference policy."""


def needs(config: Config) -> Needs:
    """A critic where the weight is made with one; one epoch, as there is no probability ratio."""
    return Needs(
        critic=isinstance(config.weight, GAE | CriticQ),
        reference=config.kl.coef > 0,
        epochs=1,
        discount=config.discount,
    )


def advantages(episodes: Episodes, config: Config) -> Float[Tensor, "B T"]:
    """The weight of every decision, minus the old value where there is a critic; 0 outside the mask."""
    charged = kl.in_reward(episodes, config.kl)
    if isinstance(config.weight, ReturnToGo):
        return advantage(charged, config.discount, MonteCarlo())
    if isinstance(config.weight, CriticQ):
        return advantage(charged, config.discount, GAE(0.0))
    return advantage(charged, config.discount, config.weight)


def loss(new: Scores, episodes: Episodes, advantages: Float[Tensor, "B T"], config: Config) -> Loss:
    """-E[weight * log pi(a|s)], the squared value error and the entropy bonus."""
    e = episodes
    weight = advantages
    if isinstance(config.weight, ReturnToGo | CriticQ) and e.values is not None:
        weight = torch.where(e.mask, advantages + e.values, 0.0)  # the return or Q itself, no baseline
    if config.standardise_weights:
        weight = masked.standardise(weight, e.mask)
    policy = -masked.mean(weight * new.logp, e.mask)
    entropy = masked.mean(new.entropy, e.mask)
    value = None
    metrics = {
        "loss/policy_avg": policy,
        "policy/entropy_avg": entropy,
        "policy/approxkl_avg": masked.mean(kl.k3(e.logp, new.logp), e.mask),
    }
    if new.values is not None and e.values is not None:
        error = torch.where(e.mask, new.values - advantages - e.values, 0.0)
        metrics["loss/value_avg"] = 0.5 * masked.mean(error**2, e.mask)
        value = config.value_coef * metrics["loss/value_avg"]
    return Loss(
        policy,
        {name: part.detach() for name, part in metrics.items()},
        entropy=-config.entropy_coef * entropy,
        value=value,
        penalties=kl.in_loss(new.logp, e, config.kl),
    )
