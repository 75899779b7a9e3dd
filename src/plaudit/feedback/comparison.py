"""Comparison: which of two options is better."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from plaudit.errors import PlauditError
from plaudit.feedback import fields

Answer = Literal["first", "second", "equal", "both_bad", "skip"]
ANSWERS: tuple[str, ...] = get_args(Answer)

SWAPPED: dict[str, Answer] = {"first": "second", "second": "first"}


@dataclass(frozen=True)
class Comparison:
    """An answer about two options, recorded by what they are, not by the side they were shown on."""

    options: tuple[str, str]
    """Content hashes of the two options."""
    answer: Answer
    """The better one, `equal`, `both_bad` (both below the cut), or `skip` (no answer)."""

    def __post_init__(self) -> None:
        """Refuse anything but two options and a known answer."""
        if len(fields.options("comparison.options", self.options, 2)) != 2:
            raise PlauditError(f"comparison.options: a comparison has two options, not {len(self.options)}")
        fields.one_of("comparison.answer", self.answer, ANSWERS)

    def swap(self) -> "Comparison":
        """The same statement with the options in the other order."""
        first, second = self.options
        return replace(self, options=(second, first), answer=SWAPPED.get(self.answer, self.answer))
