"""plaudit resume RUN: go on with a run that was stopped or killed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plaudit.cli import arguments
from plaudit.cli.flags import Positional
from plaudit.cli.run import resume_one
from plaudit.errors import PlauditError


@dataclass(frozen=True)
class Resume:
    """What to go on with."""

    run: Positional[Path]
    """The run folder."""


def main(argv: Sequence[str]) -> int:
    """Resume one run."""
    given = arguments.parse(Resume, argv, "resume", str(__doc__))
    if not (given.run / "manifest.json").exists() and any(given.run.glob("seed-*")):
        raise PlauditError(
            f"{given.run}: holds several seeds; give the command that began them again, it goes on"
        )
    resume_one(given.run)
    return 0
