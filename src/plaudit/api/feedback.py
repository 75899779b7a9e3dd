"""Feedback from a file, whatever its kind."""

from dataclasses import dataclass
from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.readers.judgements import Judged, Medium, read_judgements


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
    for row in rows:
        if row.kind != rows[0].kind:
            raise PlauditError(
                f"{row.where}: a {row.kind}, but the file begins with a {rows[0].kind}; choose one kind: "
                f"load_feedback({str(path)!r}, kind={row.kind!r})"
            )
        if row.medium != rows[0].medium:
            raise PlauditError(
                f"{row.where}: about {row.medium}, but the file begins with {rows[0].medium}; part the file"
            )
    return Feedback(tuple(rows), str(path))
