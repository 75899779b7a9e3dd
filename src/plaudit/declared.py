"""Types whose range stands beside the field: `discount: Probability`, `held_out: Annotated[float, between(0.01, 0.9)]`.

Whoever builds a config checks the range, whoever shows one says it; nobody else writes it down.
"""

import sys
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, ClassVar, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

from msgspec import Meta, ValidationError, convert

from plaudit.errors import PlauditError


@runtime_checkable
class Dataclass(Protocol):
    """An instance of any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


LARGEST = sys.float_info.max


def at_least(low: float) -> Meta:
    """This much or more; where the limit is written as a float the number must be finite."""
    return Meta(ge=low) if isinstance(low, int) else Meta(ge=low, le=LARGEST)


def between(low: float, high: float) -> Meta:
    """Any number from the one to the other, both included."""
    return Meta(ge=low, le=high)


Finite = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
"""Any number that is one."""
NonNegative = Annotated[float, at_least(0.0)]
"""A finite number of 0 or more."""
Positive = Annotated[float, Meta(gt=0, le=LARGEST)]
"""A finite number above 0."""
Unbounded = Annotated[float, Meta(ge=0)]
"""A number of 0 or more, or infinity."""
Probability = Annotated[float, between(0, 1)]
"""From 0 to 1, both included."""
Share = Annotated[float, Meta(gt=0, le=1)]
"""A part of something that is not nothing: above 0, at most 1."""
Fraction = Annotated[float, Meta(ge=0, lt=1)]
"""A part of something that is not all of it: from 0, below 1."""
BeforeTheEnd = Annotated[float, between(0, 0.99)]
"""A share of a whole of which a part must be left."""
Count = Annotated[int, at_least(1)]
"""A whole number of 1 or more."""
Whole = Annotated[int, at_least(0)]
"""A whole number of 0 or more."""


def limits(schema: object) -> str:
    """The range of an annotated type in words, such as `at least 1`; empty where every number will do."""
    range_, _ = _range(schema)
    return "" if range_ is None else _words(range_)


def fault(schema: object, value: object) -> str | None:
    """What is wrong with a number that must lie in a range, such as `must be at least 1, not 0`; none: nothing."""
    range_, kind = _range(schema)
    if range_ is None or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        convert(kind(value), Annotated[kind, range_])  # type: ignore[valid-type]
    except (ValidationError, OverflowError, ValueError):
        return f"must be {_words(range_) or 'finite'}, not {value}"
    return None


def refuse(config: Dataclass, where: str) -> None:
    """Raise PlauditError for the first field of a frozen dataclass that is out of its range: what a `__post_init__`
    calls, where nobody may hold such a value. `where` is how the whole is called in a config."""
    for name, schema in hints(type(config)).items():
        if wrong := fault(schema, getattr(config, name)):
            raise PlauditError(f"{where}{name}: {wrong}; change this field")


@cache
def hints(schema: type) -> dict[str, Any]:
    """The annotated types of a dataclass's fields, ranges included."""
    known = get_type_hints(schema, include_extras=True)
    return {field.name: known[field.name] for field in fields(schema)}


def bare(schema: object) -> Any:
    """A type without what is annotated to it."""
    return get_args(schema)[0] if get_origin(schema) is Annotated else schema


def _range(schema: object) -> tuple[Meta | None, type]:
    """The range of a number, or of the number in `number | None`, and whether it is an int or a float."""
    for one in (schema, *get_args(schema)):
        for item in getattr(one, "__metadata__", ()):
            if isinstance(item, Meta):
                return item, bare(one)
    return None, float


def _words(range_: Meta) -> str:
    low, high = range_.ge, None if range_.le == LARGEST else range_.le
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    named = {"at least": low, "above": range_.gt, "at most": high, "below": range_.lt}
    said = [f"{word} {limit:g}" for word, limit in named.items() if limit not in (None, -LARGEST)]
    return " and ".join(said)
