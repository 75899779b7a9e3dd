"""Hyper-parameters that change while learning: a number, a function of the progress that remains, or `lin_0.001`."""

import math
from collections.abc import Callable
from typing import Any

from plaudit.errors import PlauditError

Schedule = Callable[[float], float]
"""From the share of the budget that is left (1 at the beginning, 0 at the end) to a value."""
LINEAR = "lin_"
"""How rl-baselines3-zoo writes a value that falls linearly to 0."""


def schedule(value: Any, name: str) -> Schedule:
    """The schedule of a number, of a text such as `lin_0.001`, or of a function; PlauditError for anything else."""
    if callable(value):
        return lambda remaining: _number(value(remaining), f"{name}({remaining:.3g})")
    if isinstance(value, str) and value.startswith(LINEAR):
        start = _number(value.removeprefix(LINEAR), name)
        return lambda remaining: start * remaining
    constant = _number(value, name)
    return lambda _: constant


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise PlauditError(
            f"{name}: {value!r} is neither a number, a text such as lin_0.001, nor a function of the remaining progress"
        )
    if number < 0:
        raise PlauditError(f"{name}: must be at least 0, not {number:g}; change what is given")
    return number
