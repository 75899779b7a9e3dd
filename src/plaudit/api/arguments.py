"""Arguments by name: an unknown one is an error that suggests the nearest; and what `progress_bar=True` shows."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from numbers import Real
from typing import Any

import numpy as np
from rich.console import Console
from torch import Tensor

from plaudit.errors import Diverged, PlauditError
from plaudit.trackers.console import ProgressBar


def refuse_unknown(given: Collection[str], known: Collection[str], where: str) -> None:
    """Raise PlauditError for the first name that is not known."""
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise PlauditError(f"{where}: unknown argument {name!r}; {hint}")


@contextmanager
def divergence_named(settings: str) -> Iterator[None]:
    """Say with the names of an interface which settings to lower where learning diverges."""
    try:
        yield
    except Diverged as error:
        raise Diverged(error.what, f"lower {settings}") from None


def plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same with numbers and arrays of NumPy and torch as Python's own, which configs and files hold."""
    return {
        name: v.tolist() if isinstance(v, np.generic | np.ndarray | Tensor) else v
        for name, v in given.items()
    }


def positive(value: Any, name: str) -> int:
    """A whole number above 0; PlauditError for anything else."""
    whole = isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer()
    if not whole or value < 1:
        raise PlauditError(f"{name}: {value!r} is not a whole number above 0")
    return int(float(value))


@contextmanager
def bar(title: str, total: int, wanted: bool, counted: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A bar that is told the metrics of every update; without one they go nowhere."""
    if not wanted:
        yield lambda row: None
        return
    shown = ProgressBar(title, total, Console(stderr=True), counted)
    try:
        yield shown.write
    finally:
        shown.close()
