"""Judgements: what people said about options, as tensors for the likelihoods; one row is one answer."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from plaudit.declared import Dataclass


@runtime_checkable
class Judgements(Dataclass, Protocol):
    """What a likelihood reads: a frozen dataclass of tensors with a row for each answer.

    What is known of people is put in where there is a field for it: `reliability`, and `side_bias` (with `shown`) or
    `leniency`.
    """

    @property
    def person(self) -> Int[Tensor, "R"] | None:
        """Who judged, by number; None: not known."""
        ...

    @property
    def width(self) -> int:
        """Options of a row, at most."""
        ...


@dataclass(frozen=True)
class Comparisons:
    """P comparisons of two options each."""

    preference: Float[Tensor, "P"]
    """1: the first is better; 0: the second; .5: equally good."""
    reliability: Float[Tensor, "P"] | None = None
    """eta_k of the person: the probability of saying what they mean; None: always (1). Below .5: an adversary."""
    side_bias: Float[Tensor, "P"] | None = None
    """delta_k of the person, added to the logit of the first option (the sign says where it was shown); None: 0."""
    shown: Float[Tensor, "P"] | None = None
    """1: the first option was the one shown first; -1: the second was; 0: not known; None: of none."""
    weight: Float[Tensor, "P"] | None = None
    """Propensity or deliberate down-weighting; None: all count alike (1)."""
    person: Int[Tensor, "P"] | None = None
    """Who judged, by number; None: not known."""

    @property
    def width(self) -> int:
        """Options of a comparison."""
        return 2


@dataclass(frozen=True)
class Rankings:
    """R orders of up to C options each."""

    ranks: Float[Tensor, "R C"]
    """The smallest is best; equal ones are equally good; infinite: below all others, in no order; NaN: no option."""
    reliability: Float[Tensor, "R"] | None = None
    """eta_k of the person: the probability of meaning this order and not its reverse; None: always (1)."""
    weight: Float[Tensor, "R"] | None = None
    """Propensity or deliberate down-weighting; None: all count alike (1)."""
    person: Int[Tensor, "R"] | None = None
    """Who judged, by number; None: not known."""

    @property
    def width(self) -> int:
        """Options of the longest ranking."""
        return self.ranks.shape[1]


@dataclass(frozen=True)
class Ratings:
    """N ratings of one option each."""

    value: Float[Tensor, "N"]
    """From 0, the worst value of the scale, to 1, the best one; thumbs are the two ends."""
    reliability: Float[Tensor, "N"] | None = None
    """eta_k of the person: the probability of meaning this value and not its opposite; None: always (1)."""
    leniency: Float[Tensor, "N"] | None = None
    """delta_k of the person: added to the logit of every option; None: no bias (0)."""
    weight: Float[Tensor, "N"] | None = None
    """Propensity or deliberate down-weighting; None: all count alike (1)."""
    person: Int[Tensor, "N"] | None = None
    """Who judged, by number; None: not known."""

    @property
    def width(self) -> int:
        """A rating is about one option."""
        return 1
