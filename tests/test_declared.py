"""Ranges beside the fields: what lies in them, and how they are said."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from plaudit import declared
from plaudit.declared import (
    Count,
    Finite,
    Fraction,
    NonNegative,
    Positive,
    Probability,
    Share,
    Unbounded,
    Whole,
    at_least,
    between,
)  # fmt: skip
from plaudit.errors import PlauditError

# type: in words, numbers inside, numbers outside
TABLE: list[tuple[Any, str, list[float], list[float]]] = [
    (Count, "at least 1", [1, 7, 10**30], [0, -1]),
    (Whole, "at least 0", [0, 1], [-1]),
    (Finite, "", [0.0, -1e308, 1e308], [math.inf, -math.inf, math.nan, 10**400]),
    (NonNegative, "at least 0", [0, 0.0, 1e308], [-1e-300, math.inf, math.nan]),
    (Positive, "above 0", [5e-324, 3], [0.0, 0, -1, math.inf, math.nan]),
    (Unbounded, "at least 0", [0.0, math.inf], [-0.5, -math.inf, math.nan]),
    (Probability, "between 0 and 1", [0, 1, 0.5], [-0.1, 1.0000001, math.nan]),
    (Share, "above 0 and at most 1", [1, 1e-9], [0, 1.1, math.nan]),
    (Fraction, "at least 0 and below 1", [0, 0.999], [1, -0.1, math.nan]),
    (Annotated[int, at_least(10)], "at least 10", [10], [9]),
    (Annotated[float, at_least(0.5)], "at least 0.5", [0.5], [0.4, math.inf]),
    (Annotated[float, between(0.01, 0.9)], "between 0.01 and 0.9", [0.01, 0.9], [0.0, 0.95]),
]


@pytest.mark.parametrize(("schema", "words", "inside", "outside"), TABLE, ids=lambda item: str(item)[:40])
def test_ranges(schema: Any, words: str, inside: list[float], outside: list[float]) -> None:
    for kind in (schema, schema | None):
        assert declared.limits(kind) == words
        assert [declared.fault(kind, number) for number in inside] == [None] * len(inside)
        for number in outside:
            assert declared.fault(kind, number) == f"must be {words or 'finite'}, not {number}"


def test_what_is_no_number_has_no_range() -> None:
    for value in (None, True, "7", (0,)):
        assert declared.fault(Count | None, value) is None
    assert declared.fault(float, -1) is None and declared.limits(float) == "" == declared.limits(str)
    assert declared.limits(tuple[Count, ...]) == "at least 1"


@dataclass(frozen=True)
class Net:
    width: Count = 1
    rate: Positive | None = None
    name: str = ""


def test_a_value_that_nobody_may_hold() -> None:
    declared.refuse(Net(), "net.")
    for net, sentence in (
        (Net(0), "net.width: must be at least 1, not 0"),
        (Net(rate=0.0), "net.rate: must be above 0, not 0.0"),
    ):
        with pytest.raises(PlauditError) as caught:
            declared.refuse(net, "net.")
        assert str(caught.value) == f"{sentence}; change this field"
