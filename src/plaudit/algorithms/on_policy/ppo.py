"""Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347, eq. 7, 8 and 9)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes, Loss, Needs, Scores
from plaudit.declared import Finite, NonNegative, Probability
from plaudit.maths import kl, masked
from plaudit.maths.advantage import GAE, Estimator, advantage
from plaudit.maths.constraint import Constraint, NoLimit, Penalty, StopAt
from plaudit.maths.kl import Kl


@dataclass(frozen=True)
class Config:
    """The mathematics of PPO; how the loss is descended is the trainer's business."""

    discount: Probability | None = None
    """Discount gamma of future rewards per decision; none: the environment's, 1 for text."""
    advantage: Estimator = GAE(0.95)
    """How advantages are estimated."""
    standardise_advantages: bool = True
    """Give the advantages of each minibatch mean 0 and variance 1."""
    clip: NonNegative = 0.2
    """Range epsilon of the probability ratio outside which the surrogate is flat."""
    value_clip: NonNegative | None = None
    """Range by which a value may move from the old one before its loss is flat; none: no clipping."""
    value_coef: NonNegative = 0.5
    """Weight of the value loss."""
    entropy_coef: Finite = 0.0
    """Weight of the entropy bonus."""
    kl: Kl = Kl()
    """The price of leaving a reference policy."""
    constraint: Constraint = NoLimit()
    """Limit on how far one update moves the policy."""


def needs(config: Config) -> Needs:
    """A critic where advantages are estimated with one, a reference where leaving it has a price."""
    return Needs(
        critic=isinstance(config.advantage, GAE), reference=config.kl.coef > 0, discount=config.discount
    )


def advantages(episodes: Episodes, config: Config) -> Float[Tensor, "B T"]:
    """Advantages of the rewards after the KL price."""
    return advantage(kl.in_reward(episodes, config.kl), config.discount, config.advantage)


def loss(new: Scores, episodes: Episodes, advantages: Float[Tensor, "B T"], config: Config) -> Loss:
    """Clipped surrogate, squared value error and entropy bonus (eq. 9), with the penalties of the config."""
    e = episodes
    a = masked.standardise(advantages, e.mask) if config.standardise_advantages else advantages
    old = torch.where(e.mask, e.logp, new.logp.detach())  # a masked NaN would reach the gradient through exp
    ratio = (new.logp - old).exp()

    # eq. 7: the larger of the two losses, so that the gradient is flat only where clipping makes it worse
    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
    policy = masked.mean(torch.maximum(-a * ratio, -a * clipped), e.mask)
    metrics = {"loss/policy_avg": policy}
    entropy = value = None
    if config.entropy_coef:
        entropy = -config.entropy_coef * masked.mean(new.entropy, e.mask)
    if new.values is not None:
        error = value_loss(new.values, e, advantages, config.value_clip)
        value, metrics["loss/value_avg"] = config.value_coef * error, error
    penalties = {}
    if isinstance(config.constraint, Penalty):  # eq. 8
        penalties["moved"] = config.constraint.coefficient * masked.mean(kl.k3(old, new.logp), e.mask)
    penalties |= kl.in_loss(new.logp, e, config.kl)

    with torch.no_grad():
        moved = masked.mean(kl.k3(old, new.logp), e.mask)
        metrics |= {
            "policy/approxkl_avg": moved,
            "policy/clipfrac_avg": masked.mean(ratio.ne(clipped).to(ratio.dtype), e.mask),
            "policy/entropy_avg": masked.mean(new.entropy, e.mask),
            "val/ratio": masked.mean(ratio, e.mask),
        }
    stop = isinstance(config.constraint, StopAt) and moved.item() > config.constraint.limit
    told = {name: part.detach() for name, part in metrics.items()}
    return Loss(policy, told, stop, entropy=entropy, value=value, penalties=penalties)


def value_loss(
    values: Float[Tensor, "B T"], episodes: Episodes, advantages: Float[Tensor, "B T"], clip: float | None
) -> Float[Tensor, ""]:
    """Half the squared error to the target advantages + old values; with a clip, the larger of two (eq. 9)."""
    assert episodes.values is not None
    old = torch.where(episodes.mask, episodes.values, values.detach())
    target = advantages + old
    error = (values - target) ** 2
    if clip is not None:
        near = old + (values - old).clamp(-clip, clip)
        error = torch.maximum(error, (near - target) ** 2)
    return 0.5 * masked.mean(error, episodes.mask)
