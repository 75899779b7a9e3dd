"""An algorithm of your own: the policy gradient with a critic as baseline.

plaudit optimise ./mine.py --env CartPole-v1
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes, Loss, Needs, Scores
from plaudit.declared import NonNegative, Probability
from plaudit.maths import masked
from plaudit.maths.advantage import GAE, advantage


@dataclass(frozen=True)
class Config:
    """Its settings: flags and fields of a config are made of them."""

    discount: Probability | None = None
    """Discount of future rewards per decision; none: the environment's."""
    value_coef: NonNegative = 0.5
    """Weight of the value loss."""


def needs(config: Config) -> Needs:
    """What the loop provides: a critic, and every rollout is learned from once."""
    return Needs(critic=True, epochs=1, discount=config.discount)


def advantages(episodes: Episodes, config: Config) -> Float[Tensor, "B T"]:
    """How much better than expected every decision turned out."""
    return advantage(episodes, config.discount, GAE(0.95))


def loss(new: Scores, episodes: Episodes, advantages: Float[Tensor, "B T"], config: Config) -> Loss:
    """-E[A log pi(a|s)], and the squared error of the critic."""
    assert new.values is not None and episodes.values is not None
    weight = masked.standardise(advantages, episodes.mask)
    policy = -masked.mean(weight * new.logp, episodes.mask)
    value = 0.5 * masked.mean((new.values - advantages - episodes.values) ** 2, episodes.mask)
    metrics = {"loss/policy_avg": policy.detach(), "loss/value_avg": value.detach()}
    return Loss(policy, metrics, value=config.value_coef * value)
