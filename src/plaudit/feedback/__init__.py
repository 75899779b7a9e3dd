"""One file per kind of feedback; no input or output."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.feedback.binary import Binary
from plaudit.feedback.comparison import Comparison
from plaudit.feedback.ranking import Ranking
from plaudit.feedback.rating import Rating

Feedback = Comparison | Ranking | Rating | Binary

KINDS: dict[str, type[Feedback]] = {
    "comparison": Comparison,
    "ranking": Ranking,
    "rating": Rating,
    "binary": Binary,
}

__all__ = [
    "KINDS",
    "Binary",
    "Comparison",
    "Feedback",
    "Ranking",
    "Rating",
    "agree",
    "from_json",
    "kind_of",
    "options_of",
    "to_json",
]


def kind_of(feedback: Feedback) -> str:
    """The name of its kind, a key of `KINDS`."""
    return type(feedback).__name__.lower()


def options_of(feedback: Feedback) -> tuple[str, ...]:
    """The content hashes the feedback speaks about."""
    if isinstance(feedback, Comparison | Ranking):
        return feedback.options
    return (feedback.option,)


def agree(one: Feedback, other: Feedback) -> bool:
    """Whether two answers about the same options say the same, in whatever order the options stand."""
    if isinstance(one, Comparison) and isinstance(other, Comparison):
        return one == (other if other.options == one.options else other.swap())
    if isinstance(one, Ranking) and isinstance(other, Ranking) and one.ranks and other.ranks:
        return dict(zip(one.options, one.ranks, strict=True)) == dict(
            zip(other.options, other.ranks, strict=True)
        )
    return one == other


def to_json(feedback: Feedback) -> dict[str, Any]:
    """What `json.dumps` takes: the fields and `kind`."""
    values = {field.name: _lists(getattr(feedback, field.name)) for field in dataclasses.fields(feedback)}
    return {"kind": kind_of(feedback), **values}


def from_json(data: object) -> Feedback:
    """The feedback in what `json.loads` gave; every field must be there, and no other."""
    if not isinstance(data, Mapping):
        raise PlauditError(f"feedback: {data!r} is not an object with a kind and its fields")
    if "kind" not in data:
        raise PlauditError(f"feedback.kind is missing; give one of {', '.join(KINDS)}")
    kind = fields.one_of("feedback.kind", data["kind"], tuple(KINDS))
    wanted = [field.name for field in dataclasses.fields(KINDS[kind])]
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
