"""plaudit sample-data [FOLDER]: write small files to try every other command with.

CartPole episodes to clone; stories, demonstrations, pairs and prompts for a language model; and an environment, an
algorithm and a reward function to begin your own with. FOLDER is here unless it is given.
"""

from collections.abc import Sequence
from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.stages import sample_data


def main(argv: Sequence[str]) -> int:
    """Write them."""
    if any(item in ("-h", "--help") for item in argv):
        print(f"usage: plaudit sample-data [FOLDER]\n\n{__doc__}")
        return 0
    if len(argv) > 1 or any(item.startswith("-") for item in argv):
        raise PlauditError("sample-data takes one folder: plaudit sample-data [FOLDER]")
    folder = Path(argv[0] if argv else ".")
    written = sample_data.write(folder)
    widest = max(map(len, written))
    for name, what in written.items():
        print(f"{folder / name!s:{len(str(folder / '')) + widest + 1}}  {what}")
    return 0
