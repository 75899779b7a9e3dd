"""Pairs: two recorded behaviours each, and which of them is preferred."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """P pairs; side 0 is the first of each, side 1 the second."""

    mask: Bool[Tensor, "P 2 T"]
    """A decision; not padding, not a prompt."""
    preference: Float[Tensor, "P"]
    """1: the first is better; 0: the second; .5: equally good."""
    record: Any
    """Opaque above `models`: tensors [P, 2, ...] of token ids, or of observations and actions."""
    ref_logp: Float[Tensor, "P 2 T"] | None = None
    """log pi_ref(a_t | s_t); None where no reference is loaded."""
    weight: Float[Tensor, "P"] | None = None
    """Propensity or deliberate down-weighting; None: all count alike (1)."""
    person: Int[Tensor, "P"] | None = None
    """Who judged, by number; None: not known."""
