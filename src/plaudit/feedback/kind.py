"""What every kind of feedback is: what a file of this folder has to say for the store, the fit, the pages and simulated
people to take it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

Order = tuple[tuple[int, ...], ...]
"""Places of options, best group first; those in one group are tied."""


@dataclass(frozen=True)
class Statement:
    """Something that an answer says about the reward."""

    kind: str
    """Which likelihood reads it: the `KIND` of a file of `likelihoods`."""
    options: tuple[str, ...]
    """Content hashes of what it is about."""
    said: tuple[float, ...]
    """In numbers, as that likelihood reads them."""


@runtime_checkable
class Respondent(Protocol):
    """A simulated person in front of a question, who knows what every option is worth."""

    @property
    def items(self) -> tuple[str, ...]:
        """Content hashes of the options."""
        ...

    @property
    def returns(self) -> Sequence[float]:
        """What they are worth to this person."""
        ...

    def compare(self) -> Literal["first", "second", "equal", "skip"]:
        """Which of two is better."""
        ...

    def rank(self) -> Order | None:
        """The order of all options; none: skipped."""
        ...

    def rate(self, low: float, high: float) -> float | None:
        """A whole number of the scale for the only option; none: skipped."""
        ...

    def approve(self) -> bool | None:
        """Whether the only option is good; none: skipped."""
        ...


class Feedback(ABC):
    """An answer: a frozen dataclass with a field `options`, or `option` where it is about one, and what was said.

    Options are content hashes: what was shown, not the side it was shown on. The name of the kind is the name of its
    file. Fields hold what JSON does, lists as tuples.
    """

    SHOWN: ClassVar[tuple[int, int | None]]
    """The fewest and the most options that a question shows; none: no limit."""
    PAYLOAD: ClassVar[Mapping[str, Any]] = {}
    """What a question tells people beside the options, where nobody says otherwise."""

    @property
    @abstractmethod
    def said(self) -> Any:
        """What was said: equal where the same was said of options in the same order; none: nothing, it was skipped."""

    @abstractmethod
    def statements(self) -> tuple[Statement, ...]:
        """What it teaches; nothing where it was skipped."""

    @classmethod
    @abstractmethod
    def simulated(cls, person: Respondent, payload: Mapping[str, Any]) -> Self:
        """What a simulated person says to a question with this payload."""

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every pair of options that was put in an order, the better one first."""
        return ()

    def permuted(self, order: Sequence[int]) -> Self:
        """The same, with option `order[0]` first, then `order[1]` and so on; `order` names every place once."""
        options = options_of(self)
        return replace(self, options=tuple(options[i] for i in order)) if len(options) > 1 else self  # pyright: ignore

    @classmethod
    def shown(cls, payload: Mapping[str, Any]) -> dict[str, Any]:
        """What of a question's payload its page may see, besides the options; PlauditError for what is none of it."""
        return {name: payload.get(name, usual) for name, usual in cls.PAYLOAD.items()}

    def wrong_for(self, payload: Mapping[str, Any]) -> str | None:
        """Where it answers another question than the one with this payload: what that one asks for."""
        return None


def options_of(feedback: Feedback) -> tuple[str, ...]:
    """The content hashes the feedback speaks about."""
    held = vars(feedback)
    return held["options"] if "options" in held else (held["option"],)


def kind_of(feedback: Feedback | type[Feedback]) -> str:
    """The name of its kind, a key of `plaudit.feedback.KINDS`: that of its file."""
    cls = feedback if isinstance(feedback, type) else type(feedback)
    return cls.__module__.rpartition(".")[2]


def names_of(kind: type[Feedback]) -> list[str]:
    """The fields of a kind."""
    return [field.name for field in fields(kind)]  # pyright: ignore


def inverse(order: Sequence[int]) -> list[int]:
    """The order that takes back another one."""
    return sorted(range(len(order)), key=lambda place: order[place])


def agree(one: Feedback, other: Feedback) -> bool:
    """Whether two answers about the same options say the same, in whatever order the options stand."""
    mine, theirs = options_of(one), options_of(other)
    if type(one) is not type(other) or sorted(mine) != sorted(theirs):
        return False
    if mine != theirs:
        places = sorted(range(len(theirs)), key=lambda place: theirs[place])
        other = other.permuted([places[i] for i in inverse(sorted(range(len(mine)), key=lambda i: mine[i]))])
    return one.said == other.said
