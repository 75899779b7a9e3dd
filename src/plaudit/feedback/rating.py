"""Rating: a number on a scale for one option, on a named criterion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.feedback.kind import Feedback, Respondent, Statement

USUAL_SCALE = {"criterion": "overall", "low": 1, "high": 5}
"""What a question for a rating says where nobody says otherwise."""


@dataclass(frozen=True)
class Rating(Feedback):
    """How good one option is on one criterion. No answer is None, never 0."""

    SHOWN: ClassVar[tuple[int, int | None]] = (1, 1)
    PAYLOAD: ClassVar[Mapping[str, Any]] = {"scale": USUAL_SCALE}

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

    @property
    def said(self) -> Self | None:
        """The whole: with its criterion and scale."""
        return None if self.value is None else self

    def statements(self) -> tuple[Statement, ...]:
        """The share of the scale that lies below the value."""
        if self.value is None:
            return ()
        return (Statement("rating", (self.option,), ((self.value - self.low) / (self.high - self.low),)),)

    def wrong_for(self, payload: Mapping[str, Any]) -> str | None:
        """The scale must be the one that was shown."""
        scale = payload.get("scale")
        if scale is None:
            return None
        wanted = scale["criterion"], scale["low"], scale["high"]
        mine = self.criterion, self.low, self.high
        return None if mine == wanted else f"{wanted[0]!r} from {wanted[1]} to {wanted[2]}"

    @classmethod
    def simulated(cls, person: Respondent, payload: Mapping[str, Any]) -> Self:
        """By where the return lies among all that was asked about."""
        scale: Any = payload.get("scale")
        try:
            criterion, low, high = scale["criterion"], float(scale["low"]), float(scale["high"])
        except (TypeError, KeyError, ValueError):
            raise PlauditError(
                f"payload.scale is {scale!r}; give a question for a rating its criterion, low and high"
            ) from None
        return cls(person.items[0], criterion, person.rate(low, high), low, high)
