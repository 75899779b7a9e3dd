"""plaudit report RUN: write a run's report.html again, or in Chinese report.zh.html beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from plaudit.cli import arguments
from plaudit.cli.flags import Positional
from plaudit.report import write_report
from plaudit.runs.folder import RunFolder


@dataclass(frozen=True)
class Report:
    """Which report, in which language."""

    run: Positional[Path]
    """The run folder."""
    language: Literal["en", "zh"] = "en"
    """Language of the page."""


def main(argv: Sequence[str]) -> int:
    """Write one report."""
    given = arguments.parse(Report, argv, "report", str(__doc__))
    print(f"report {write_report(RunFolder.open(given.run), given.language)}")
    return 0
