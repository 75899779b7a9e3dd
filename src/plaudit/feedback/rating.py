"""Rating: a number on a scale for one option, on a named criterion."""

from dataclasses import dataclass

from plaudit.errors import PlauditError
from plaudit.feedback import fields

USUAL_SCALE = {"criterion": "overall", "low": 1, "high": 5}
"""What a question for a rating says where nobody says otherwise."""


@dataclass(frozen=True)
class Rating:
    """How good one option is on one criterion. No answer is None, never 0."""

    option: str
    """Content hash of the option."""
    criterion: str
    """What was rated, such as `helpful`; a reward model has one head per criterion."""
    value: float | None
    """The rating, in [low, high]; None: no answer."""
    low: float
    """The worst value of the scale."""
    high: float
    """The best value of the scale."""

    def __post_init__(self) -> None:
        """Refuse a value off the scale; whole numbers become floats, so that 3 and 3.0 are one answer."""
        fields.text("rating.option", self.option)
        fields.text("rating.criterion", self.criterion)
        names = ("low", "high") if self.value is None else ("low", "high", "value")
        for name in names:
            object.__setattr__(self, name, fields.number(f"rating.{name}", getattr(self, name)))
        if not self.low < self.high:
            raise PlauditError(f"rating.high: {self.high} must lie above rating.low, which is {self.low}")
        if self.value is not None and not self.low <= self.value <= self.high:
            raise PlauditError(
                f"rating.value: {self.value} lies outside the scale from {self.low} to {self.high}"
            )
