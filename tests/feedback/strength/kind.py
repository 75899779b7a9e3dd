"""Strength: how much better one of two options is than the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.feedback.kind import Feedback, Respondent, Statement


@dataclass(frozen=True)
class Strength(Feedback):
    """A number of steps towards one of two options."""

    SHOWN: ClassVar[tuple[int, int | None]] = (2, 2)
    PAYLOAD: ClassVar[Mapping[str, Any]] = {"steps": 3}

    options: tuple[str, str]
    """Content hashes of the two."""
    strength: int | None
    """From -3, the second is much better, to 3, the first is; None: no answer."""

    def __post_init__(self) -> None:
        """Refuse anything but two options and a whole number of steps."""
        if len(fields.options("strength.options", self.options, 2)) != 2:
            raise PlauditError(f"strength.options: there must be two, not {len(self.options)}")
        if self.strength is not None and self.strength not in range(-3, 4):
            raise PlauditError(f"strength.strength: {self.strength!r} is not a whole number from -3 to 3")

    @property
    def said(self) -> int | None:
        """The steps."""
        return self.strength

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The better one and the other, where one is."""
        return () if not self.strength else (self.options if self.strength > 0 else self.options[::-1],)

    def statements(self) -> tuple[Statement, ...]:
        """The steps as a part of all."""
        return () if self.strength is None else (Statement("strength", self.options, (self.strength / 3,)),)

    def permuted(self, order: Sequence[int]) -> Self:
        """The other way round, the steps are too."""
        if list(order) == [0, 1]:
            return self
        return replace(super().permuted(order), strength=None if self.strength is None else -self.strength)

    @classmethod
    def simulated(cls, person: Respondent, payload: Mapping[str, Any]) -> Self:
        """One step more for each unit of return between the two."""
        first, second = person.items
        sign = {"first": 1, "second": -1, "equal": 0}.get(person.compare())
        apart = abs(person.returns[0] - person.returns[1])
        return cls((first, second), None if sign is None else sign * min(3, 1 + int(apart)))
