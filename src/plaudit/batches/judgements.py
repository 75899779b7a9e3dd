"""Judgements: what people said about pairs, as tensors for the likelihoods."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Comparisons:
    """P comparisons of two options each."""

    preference: Float[Tensor, "P"]
    """1: the first is better; 0: the second; .5: equally good."""
    reliability: Float[Tensor, "P"] | None = None
    """eta_k of the person: the probability of saying what they mean; None: always (1). Below .5: an adversary."""
    side_bias: Float[Tensor, "P"] | None = None
    """delta_k of the person: added to the logit of the option shown first; None: no bias (0)."""
    weight: Float[Tensor, "P"] | None = None
    """Propensity or deliberate down-weighting; None: all count alike (1)."""
