"""What the length cap of an answer means, as a value: `Score()`, `Penalty(amount)` or `Bootstrap()`."""

from dataclasses import dataclass

from plaudit.declared import NonNegative, refuse


@dataclass(frozen=True)
class Score:
    """The horizon is part of the task: a capped answer is scored like any other, and nothing follows."""


@dataclass(frozen=True)
class Penalty:
    """A capped answer is scored, and pays for not having ended."""

    amount: NonNegative = 1.0
    """Taken off its score."""

    def __post_init__(self) -> None:
        """Raise PlauditError where it would be no penalty."""
        refuse(self, "cap.")


@dataclass(frozen=True)
class Bootstrap:
    """A capped answer gets no score: it is cut, and the critic says what would have followed.

    Dense rewards are paid up to the last decision, where a judgement of the whole stands.
    """


Cap = Score | Penalty | Bootstrap
