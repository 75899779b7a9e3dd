"""How far one update may move the policy, as a value: `NoLimit()`, `StopAt(limit)` or `Penalty(coefficient)`.

All measure KL(old || new) by k3 on the actions the old policy drew.
"""

from dataclasses import dataclass

from plaudit.declared import NonNegative, Positive


@dataclass(frozen=True)
class NoLimit:
    """No constraint beyond the algorithm's own."""


@dataclass(frozen=True)
class StopAt:
    """Leave the remaining epochs out once the KL of a minibatch passes the limit."""

    limit: Positive = 0.015
    """KL(old || new) per decision, in nats; Stable-Baselines3 stops at 1.5 times its target_kl."""


@dataclass(frozen=True)
class Penalty:
    """Add coefficient * KL(old || new) to the loss (Schulman et al. 2017, eq. 8)."""

    coefficient: NonNegative = 1.0
    """Price of one nat per decision."""


Constraint = NoLimit | StopAt | Penalty
