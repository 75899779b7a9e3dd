"""Binary: thumbs up or down for one option."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.feedback.kind import Feedback, Respondent, Statement


@dataclass(frozen=True)
class Binary(Feedback):
    """Whether one option is good. No answer is None, never False."""

    SHOWN: ClassVar[tuple[int, int | None]] = (1, 1)

    option: str
    """Content hash of the option."""
    good: bool | None
    """True: good; False: bad; None: no answer."""

    def __post_init__(self) -> None:
        """Refuse anything but true, false and none: 0 and 1 may be something else that went astray."""
        fields.text("binary.option", self.option)
        if self.good is not None and not isinstance(self.good, bool):
            raise PlauditError(f"binary.good: {self.good!r} is not true, false or null")

    @property
    def said(self) -> bool | None:
        """Up or down; none: skipped."""
        return self.good

    def statements(self) -> tuple[Statement, ...]:
        """A rating on a scale of two values."""
        return () if self.good is None else (Statement("rating", (self.option,), (float(self.good),)),)

    @classmethod
    def simulated(cls, person: Respondent, payload: Mapping[str, Any]) -> Self:
        """By where the return lies among all that was asked about."""
        return cls(person.items[0], person.approve())
