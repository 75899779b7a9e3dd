"""plaudit run CONFIG: run a config; its fields are flags too, and a flag wins over the file.

`plaudit run CONFIG --help` lists every field.
"""

from collections.abc import Sequence
from pathlib import Path

from plaudit.cli.running import run_all
from plaudit.errors import PlauditError
from plaudit.runs.config import load


def main(argv: Sequence[str]) -> int:
    """Run the config in the first argument."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: plaudit run CONFIG [--out FOLDER] [--seeds N] [--FIELD VALUE ...]\n\n" + str(__doc__))
        return 0 if argv else 2
    if argv[0].startswith("-"):
        raise PlauditError(f"run: the first argument is the config file, not {argv[0]!r}")
    return run_all(load(Path(argv[0])), argv[1:], f"run {Path(argv[0]).stem}", str(__doc__))
