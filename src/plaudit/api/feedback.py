"""Feedback from a file or a list, whatever its kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.readers.judgements import Judged, Medium, judged_rows, read_judgements


@dataclass(frozen=True)
class Feedback:
    """Answers of one kind about texts, or about control segments."""

    rows: tuple[Judged, ...]
    place: str
    """Where it was read from."""

    @property
    def kind(self) -> str:
        """comparison, ranking or rating."""
        return self.rows[0].kind

    @property
    def medium(self) -> Medium:
        """text or control."""
        return self.rows[0].medium

    def __len__(self) -> int:
        """How many answers there are."""
        return len(self.rows)

    def __repr__(self) -> str:
        """What it is, without its rows."""
        return f"Feedback({len(self)} {self.kind}s about {self.medium}, from {self.place})"


def load_feedback(path: str | Path, kind: str | None = None) -> Feedback:
    """Comparisons, rankings or ratings from JSONL (also .json, .csv and .gz): see `plaudit.readers.judgements`.

    `kind` chooses one where a file holds several. Raises PlauditError, naming the line, for what cannot be used.
    """
    rows = read_judgements(Path(path))
    if kind is not None:
        rows = [row for row in rows if row.kind == kind]
        if not rows:
            raise PlauditError(f"{path}: there is no {kind} in it; leave out kind, or give another file")
    return _of_one_kind(rows, str(path))


LIST = "feedback"
"""In place of a file's name, where it is a list."""


def as_feedback(given: "Feedback | Sequence[Mapping[str, Any]]") -> Feedback:
    """What `load_feedback` returned, or the rows of such a file as mappings: `[{"prompt": ..., "chosen": ...,
    "rejected": ...}, ...]`. Raises PlauditError, naming the row, for what cannot be used."""
    if isinstance(given, Feedback):
        return given
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise PlauditError(
            f"feedback: a {type(given).__name__}; give what plaudit.load_feedback(path) returns, or a list of rows"
        )
    for i, row in enumerate(given):
        if not isinstance(row, Mapping):
            raise PlauditError(
                f"{LIST}[{i}]: a {type(row).__name__}; a row is a mapping, as a line of a file has it"
            )
    found = judged_rows((f"{LIST}[{i}]", dict(row)) for i, row in enumerate(given))
    if not found:
        raise PlauditError("feedback: there is no answer in it that decides anything; give some that do")
    return _of_one_kind(found, LIST)


def _of_one_kind(rows: list[Judged], place: str) -> Feedback:
    for row in rows:
        if row.kind != rows[0].kind:
            remedy = "part the list" if place == LIST else f"load_feedback({place!r}, kind={row.kind!r})"
            raise PlauditError(
                f"{row.where}: a {row.kind}, but the first one is a {rows[0].kind}; choose one kind: {remedy}"
            )
        if row.medium != rows[0].medium:
            raise PlauditError(
                f"{row.where}: about {row.medium}, but the first one is about {rows[0].medium}; part them"
            )
    return Feedback(tuple(rows), place)
