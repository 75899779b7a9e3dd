"""Checks of single fields: each returns the value or raises one sentence that names the field."""

from collections.abc import Sequence
from math import isfinite

from plaudit.errors import PlauditError


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
