"""Checks of single fields: each returns the value or raises one sentence that names the field."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

from plaudit.errors import PlauditError
from plaudit.feedback.binary import Binary
from plaudit.feedback.comparison import Comparison
from plaudit.feedback.ranking import Ranking
from plaudit.feedback.rating import Rating


def text(name: str, value: object) -> str:
    """A non-empty string that every database can hold: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str) or not value:
        raise PlauditError(f"{name}: {value!r} is not a non-empty string")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise PlauditError(f"{name}: {value!r} holds a NUL or half a surrogate pair; send well-formed text")
    return value


def number(name: str, value: object) -> float:
    """A finite number; True and False are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise PlauditError(f"{name}: {value!r} is not a finite number")
    return float(value)


def options(name: str, value: object, least: int) -> tuple[str, ...]:
    """At least `least` content hashes; the same content may stand there twice (a check on attention)."""
    if not isinstance(value, tuple) or len(value) < least:
        raise PlauditError(f"{name}: {value!r} is not a tuple of {least} or more content hashes")
    return tuple(text(f"{name}[{i}]", option) for i, option in enumerate(value))


def one_of(name: str, value: object, allowed: Sequence[str]) -> str:
    """One of the known words."""
    if not isinstance(value, str) or value not in allowed:
        raise PlauditError(f"{name}: {value!r} is not one of {', '.join(allowed)}")
    return value


def _finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def permuted(
    feedback: Comparison | Ranking | Rating | Binary, order: Sequence[int]
) -> Comparison | Ranking | Rating | Binary:
    """What is said, with option `order[0]` first, then `order[1]` and so on; `order` names every place once."""
    if isinstance(feedback, Comparison):
        return feedback if list(order) == [0, 1] else feedback.swap()
    if isinstance(feedback, Ranking):
        options = tuple(feedback.options[place] for place in order)
        if feedback.order is None:
            return replace(feedback, options=options)
        new = {old: place for place, old in enumerate(order)}
        groups = tuple(tuple(new[place] for place in group) for group in feedback.order)
        return replace(feedback, options=options, order=groups)
    return feedback


def inverse(order: Sequence[int]) -> list[int]:
    """The order that takes back another one."""
    return sorted(range(len(order)), key=lambda place: order[place])
