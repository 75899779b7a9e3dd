"""How likely a control policy makes demonstrated actions; one at a bound is censored (Tobin 1958, Econometrica 26(1)).

What a policy draws is clipped to the bounds before the environment is given it. A demonstrated action at the upper
bound therefore says that the draw was there or above, and its likelihood is P(draw >= bound), not the density at the
bound. The density would punish a mean beyond the bound, which acts alike: a demonstrator who pushes with full force one
way and then the other would be cloned by something in between, wherever the two lie close together.
"""

from collections.abc import Iterator
from math import log, pi

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from plaudit.batches import Scores
from plaudit.batches.rows import take
from plaudit.models.actor_critic import ActorCritic
from plaudit.models.distributions import Gaussian
from plaudit.models.transitions import Transitions

AT_BOUND = 1 - 1e-6
"""In the policy's units the bounds are -1 and 1; what rounding leaves below counts as there."""


class Demonstrated:
    """A policy whose scores are those of demonstrated actions; no values, which nothing demonstrates."""

    def __init__(self, policy: ActorCritic, bounded: Bool[Tensor, "A"] | None):
        self.policy, self.bounded = policy, bounded
        """Which action dimensions are clipped to -1 and 1; None for discrete actions."""

    def scores(self, record: Transitions, rows: Tensor | slice | None = None) -> Scores:
        """Log-probability and entropy of the recorded decisions [B, T], differentiable."""
        if rows is not None:
            record = take(record, rows)
        shape = record.observations.shape[:2]
        found = self.policy.distribution(record.observations.flatten(end_dim=1))
        actions = record.actions.flatten(end_dim=1)
        logp, entropy = found.scores(actions)
        if isinstance(found, Gaussian) and self.bounded is not None:
            logp = censored(found, actions, self.bounded)
        return Scores(logp.reshape(shape), entropy.reshape(shape), None)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The policy's."""
        return self.policy.parameters()

    def trainable(self) -> dict[str, Tensor]:
        """The policy's."""
        return self.policy.trainable()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `trainable` gave."""
        self.policy.restore(tensors)


def censored(
    drawn: Gaussian, actions: Float[Tensor, "N A"], bounded: Bool[Tensor, "A"]
) -> Float[Tensor, "N"]:
    """Log-density of actions within the bounds, log-probability to be at or beyond a bound for those that are at one;
    summed over dimensions."""
    scale = torch.exp(-drawn.log_std)
    z = (actions - drawn.mean) * scale
    inside = -0.5 * z * z - drawn.log_std - 0.5 * log(2 * pi)
    at_bound = bounded & (actions.abs() >= AT_BOUND)
    beyond = torch.special.log_ndtr((drawn.mean * actions.sign() - 1) * scale)
    return torch.where(at_bound, beyond, inside).sum(dim=-1)
