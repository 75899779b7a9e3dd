"""plaudit chat MODEL: talk with a language model; an empty line or Ctrl-D ends it.

Turns go through the model's chat template; with --plain each line is a prompt of its own, as it stands ("\\n" in
it is a line break).
"""

import sys
from collections.abc import Sequence

import torch

from plaudit.cli import arguments
from plaudit.errors import PlauditError

INPUT = "standard input: not UTF-8 text; convert it, perhaps with `iconv -t utf-8`"


def main(argv: Sequence[str]) -> int:
    """Read lines, print answers."""
    from plaudit.stages.generate import GenerateConfig, Generator

    if not argv or argv[0].startswith("-"):
        print(f"usage: plaudit chat MODEL [--plain] [--FIELD VALUE]\n\n{__doc__}")
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    plain = "--plain" in argv
    rest = [item for item in argv[1:] if item != "--plain"]
    torch.set_num_threads(1)
    generator = Generator(argv[0], arguments.parse(GenerateConfig, rest, "chat", str(__doc__)))
    turns: list[dict[str, str]] = []
    whole = True
    while line := _read():
        turns = [*([] if plain else turns), {"role": "user", "content": line.replace("\\n", "\n")}]
        recent = turns if plain else generator.recent(turns)
        if whole and len(recent) < len(turns):
            whole = False
            print("(the model's context is full: it no longer reads the oldest turns)", file=sys.stderr)
        turns = recent
        said = generator.reply(turns, plain)
        turns.append({"role": "assistant", "content": said})
        print(said, flush=True)
    return 0


def _read() -> str:
    if sys.stdin.isatty():
        print("> ", end="", flush=True)
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        raise PlauditError(INPUT) from None
    return arguments.sound(line, INPUT).rstrip("\n")
