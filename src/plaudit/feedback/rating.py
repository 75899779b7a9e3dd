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
    def said(self) -> tuple[str | float, ...] | None:
        """The value, and on which scale."""
        return None if self.value is None else (self.criterion, self.low, self.high, self.value)

    def statements(self) -> tuple[Statement, ...]:
        """The share of the scale that lies below the value."""
        if self.value is None:
            return ()
        return (Statement("rating", (self.option,), ((self.value - self.low) / (self.high - self.low),)),)

    @classmethod
    def shown(cls, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The scale."""
        return {"scale": _scale(payload)}

    def wrong_for(self, payload: Mapping[str, Any]) -> str | None:
        """The scale must be the one that was shown."""
        scale = _scale(payload)
        if scale is None or all(getattr(self, name) == value for name, value in scale.items()):
            return None
        return f"{scale['criterion']!r} from {scale['low']:g} to {scale['high']:g}"

    @classmethod
    def simulated(cls, person: Respondent, payload: Mapping[str, Any]) -> Self:
        """By where the return lies among all that was asked about."""
        scale = _scale(payload)
        if scale is None:
            raise PlauditError(
                "payload.scale is None; give a question for a rating its criterion, low and high"
            )
        low, high = scale["low"], scale["high"]
        return cls(person.items[0], scale["criterion"], person.rate(low, high), low, high)


def _scale(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a question asks to rate, and from where to where; none: it says nothing of it."""
    given = payload.get("scale")
    if given is None:
        return None
    try:
        return {
            "criterion": str(given["criterion"]),
            "low": float(given["low"]),
            "high": float(given["high"]),
        }
    except (TypeError, KeyError, ValueError):
        raise PlauditError(
            f"payload.scale is {given!r}; give a question for a rating its criterion, low and high"
        ) from None
