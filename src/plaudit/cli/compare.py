"""plaudit compare RUN RUN ...: runs side by side, with intervals; a folder of seeds counts as one entry."""

from collections.abc import Sequence
from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.stages import compare


def main(argv: Sequence[str]) -> int:
    """Compare the given folders."""
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: plaudit compare RUN RUN ...\n\n{__doc__}")
        return 0 if argv else 2
    flags = [item for item in argv if item.startswith("-")]
    if flags:
        raise PlauditError(f"compare: {flags[0]} is unknown; give run folders only")
    print(compare.table([compare.members(Path(item)) for item in argv]))
    return 0
