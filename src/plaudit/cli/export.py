"""plaudit export RUN --to FILE: a run's feedback as JSON lines, with what it is about beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plaudit.cli import arguments
from plaudit.cli.flags import Positional
from plaudit.stages.export import Form, export_feedback


@dataclass(frozen=True)
class Export:
    """What to write, and where."""

    run: Positional[Path]
    """The run folder."""
    to: Path = Path("feedback.jsonl")
    """The file to write; an existing one is not overwritten."""
    form: Form = "ours"
    """ours: every answer, with who gave it; trl: prompt, chosen and rejected, as TRL's trainers read them."""


def main(argv: Sequence[str]) -> int:
    """Export one run's feedback."""
    given = arguments.parse(Export, argv, "export", str(__doc__))
    count = export_feedback(given.run, given.to, given.form)
    print(f"{count} rows written to {given.to}")
    return 0
