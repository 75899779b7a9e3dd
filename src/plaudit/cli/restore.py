"""plaudit restore RUN: put the newest copy of a run's answers in their place, after a broken disk or a wrong hand.

While people answer, the server copies feedback.db every quarter of an hour (feedback.db.backup-1; those before are
backup-2 and backup-3), and every answer is in responses.jsonl as well. What came after the copy is stored again from
there, where its question is in the copy. What was there before stays beside it, with .replaced behind its name. People
sign in again by the link of the next plaudit label. Exit status 1 where an answer could not be stored again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from plaudit.cli.flags import parse
from plaudit.errors import PlauditError
from plaudit.pipeline.restore import restore, sentences


@dataclass(frozen=True)
class Restore:
    """What to restore."""

    run: tyro.conf.Positional[Path]
    """The folder of a run, or one made by plaudit label --items."""
    copy: tyro.conf.Positional[Path | None] = None
    """The copy; none: the newest beside the store."""


def main(argv: Sequence[str]) -> int:
    """Restore one run's answers."""
    given = parse(Restore, argv, "restore", str(__doc__))
    restored = restore(given.run, given.copy)
    for sentence in sentences(restored):
        print(sentence)
    if restored.lost:
        raise PlauditError(
            f"{given.run}: {len(restored.lost)} later answers could not be stored again; they are in "
            "responses.jsonl.replaced-1"
        )
    return 0
