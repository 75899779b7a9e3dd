"""Comparison: which of two options is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, get_args

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.feedback.kind import Feedback, Respondent, Statement

Answer = Literal["first", "second", "equal", "both_bad", "skip"]
ANSWERS: tuple[str, ...] = get_args(Answer)

SWAPPED: dict[str, Answer] = {"first": "second", "second": "first"}
PREFERENCE = {"first": 1.0, "second": 0.0, "equal": 0.5}
"""What an answer says of the first option; skipped ones say nothing."""


@dataclass(frozen=True)
class Comparison(Feedback):
    """An answer about two options, recorded by what they are, not by the side they were shown on."""

    SHOWN: ClassVar[tuple[int, int | None]] = (2, 2)

    options: tuple[str, str]
    """Content hashes of the two options."""
    answer: Answer
    """The better one, `equal`, `both_bad` (both below the cut), or `skip` (no answer)."""

    def __post_init__(self) -> None:
        """Refuse anything but two options and a known answer."""
        if len(fields.options("comparison.options", self.options, 2)) != 2:
            raise PlauditError(f"comparison.options: a comparison has two options, not {len(self.options)}")
        fields.one_of("comparison.answer", self.answer, ANSWERS)

    @property
    def said(self) -> str | None:
        """The answer; none: skipped."""
        return None if self.answer == "skip" else self.answer

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The better one and the other, where one is."""
        return {"first": (self.options,), "second": (self.options[::-1],)}.get(self.answer, ())

    def statements(self) -> tuple[Statement, ...]:
        """Which is better; two thumbs down where both options are bad."""
        if self.answer == "both_bad":
            return tuple(Statement("rating", (one,), (0.0,)) for one in self.options)
        if self.answer == "skip":
            return ()
        return (Statement("comparison", self.options, (PREFERENCE[self.answer],)),)

    def permuted(self, order: Sequence[int]) -> Self:
        """The same statement with the options in this order."""
        return self if list(order) == [0, 1] else self.swap()

    @classmethod
    def simulated(cls, person: Respondent, payload: Mapping[str, Any]) -> Self:
        """By the returns of the two."""
        first, second = person.items
        return cls((first, second), person.compare())

    def swap(self) -> Self:
        """The same statement with the options in the other order."""
        first, second = self.options
        return replace(self, options=(second, first), answer=SWAPPED.get(self.answer, self.answer))
