"""One file per kind of feedback; no input or output."""

import pkgutil
from collections.abc import Mapping
from dataclasses import is_dataclass
from importlib import import_module
from inspect import isclass
from typing import TYPE_CHECKING, Any, Literal

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.feedback.binary import Binary
from plaudit.feedback.comparison import Comparison
from plaudit.feedback.kind import Feedback, Statement, agree, kind_of, names_of, options_of
from plaudit.feedback.ranking import Ranking
from plaudit.feedback.rating import Rating

__all__ = [
    "KINDS",
    "Binary",
    "Comparison",
    "Feedback",
    "Kind",
    "Ranking",
    "Rating",
    "Statement",
    "agree",
    "from_json",
    "kind_of",
    "options_of",
    "shown_by",
    "to_json",
]


def _kinds() -> dict[str, type[Feedback]]:
    """Every kind that has a file here, by the name of the file."""
    found = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        module = import_module(f"{__name__}.{name}")
        own = [one for one in vars(module).values() if isclass(one) and one.__module__ == module.__name__]
        for one in (each for each in own if issubclass(each, Feedback) and each is not Feedback):
            missing = sorted(one.__abstractmethods__)
            if missing or name in found or not is_dataclass(one):
                raise PlauditError(
                    f"feedback/{name}.py: {one.__name__} must be the only kind there, a dataclass, with "
                    f"{', '.join(missing) or 'all that a kind has'}; mend the file"
                )
            found[name] = one
    return found


KINDS: dict[str, type[Feedback]] = _kinds()

if TYPE_CHECKING:
    Kind = str
else:
    Kind = Literal[tuple(KINDS)]
"""The name of a kind, as the type of a setting: whoever shows or checks one knows which there are."""


def shown_by(kind: str, many: int) -> int:
    """How many options a question of a kind shows, where as many as `many` are to be had for one without a limit."""
    least, most = KINDS[kind].SHOWN
    return max(least, many) if most is None else most


def to_json(feedback: Feedback) -> dict[str, Any]:
    """What `json.dumps` takes: the fields and `kind`."""
    values = {name: _lists(getattr(feedback, name)) for name in names_of(type(feedback))}
    return {"kind": kind_of(feedback), **values}


def from_json(data: object) -> Feedback:
    """The feedback in what `json.loads` gave; every field must be there, and no other."""
    if not isinstance(data, Mapping):
        raise PlauditError(f"feedback: {data!r} is not an object with a kind and its fields")
    if "kind" not in data:
        raise PlauditError(f"feedback.kind is missing; give one of {', '.join(KINDS)}")
    kind = fields.one_of("feedback.kind", data["kind"], tuple(KINDS))
    wanted = names_of(KINDS[kind])
    for name in wanted:
        if name not in data:
            raise PlauditError(f"{kind}.{name} is missing; no answer is null, not an absent field")
    for name in data:
        if name not in wanted and name != "kind":
            raise PlauditError(
                f"{kind}.{name} is not a field of a {kind}; the fields are {', '.join(wanted)}"
            )
    return KINDS[kind](**{name: _tuples(data[name]) for name in wanted})


def _lists(value: object) -> Any:
    return [_lists(part) for part in value] if isinstance(value, tuple) else value


def _tuples(value: object) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
