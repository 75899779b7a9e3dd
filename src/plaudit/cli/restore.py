"""plaudit restore RUN: put the store of a run back after it was lost or damaged.

`plaudit label` and `plaudit serve` copy it now and then to feedback.db.copy, and write every question and answer to
questions.jsonl and responses.jsonl; this puts them together again. The file of before is kept under another name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plaudit.cli.flags import Positional, parse
from plaudit.stages.verify import restore


@dataclass(frozen=True)
class Restore:
    """What to put back."""

    run: Positional[Path]
    """The folder of a run, or one made by plaudit label --items."""
    copy: Path | None = None
    """A copy of feedback.db; none: feedback.db.copy in the folder."""


def main(argv: Sequence[str]) -> int:
    """Restore one run's answers."""
    given = parse(Restore, argv, "restore", str(__doc__))
    found = restore(given.run, given.copy)
    print(
        f"{found.copied} answers from the copy and {found.added} that came after it are in the store again."
    )
    if found.aside is not None:
        print(f"The file of before is now {found.aside}.")
    print(
        "Who joined or was let go after the copy, which is at most a minute before the loss, must be invited or let go "
        "again."
    )
    if found.left:
        print(
            f"{found.left} answers stay in {found.kept} alone: their questions, or those before, are not known."
        )
    return 0
