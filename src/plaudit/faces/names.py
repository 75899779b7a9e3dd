"""Arguments by name: an unknown one is an error that suggests the nearest."""

from collections.abc import Collection
from difflib import get_close_matches
from numbers import Real
from typing import Any

from plaudit.errors import PlauditError


def refuse_unknown(given: Collection[str], known: Collection[str], where: str) -> None:
    """Raise PlauditError for the first name that is not known."""
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise PlauditError(f"{where}: unknown argument {name!r}; {hint}")


def positive(value: Any, name: str) -> int:
    """A whole number above 0; PlauditError for anything else."""
    whole = isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer()
    if not whole or value < 1:
        raise PlauditError(f"{name}: {value!r} is not a whole number above 0")
    return int(float(value))
