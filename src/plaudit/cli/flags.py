"""Command lines from frozen dataclasses, for commands that must start fast: nothing heavy is imported here."""

import io
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from difflib import get_close_matches
from typing import Any, TypeVar

import tyro

from plaudit.errors import PlauditError

Parsed = TypeVar("Parsed")

CHOICE = r"invalid choice (.*) for argument '(\S+?)'\. Expected one of \((.*)\)\."
SENTENCES = (
    (r"Missing value for argument '(\S+?)'.*", r"\1 needs a value"),
    (r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)", r"\1: \2 is not a whole number"),
    (r"Error parsing (\S+): could not convert string to float: (.*)", r"\1: \2 is not a number"),
    (r"Error parsing (\S+): (.*)", r"\1: \2"),
    (r"Missing from [^:]*: (\S+) (.*?)\.? \(required\).*", r"\1 is missing: \2"),
)
"""What the library says, and the same as a sentence of ours."""


class Misused(PlauditError):
    """A command line that cannot be read."""

    status = 2


def parse(schema: type[Parsed], argv: Sequence[str], command: str, description: str) -> Parsed:
    """A dataclass from flags; a truth is a flag without a value."""
    return read(schema, argv, command, description, (tyro.conf.AvoidSubcommands,))


def read(
    schema: type[Parsed], argv: Sequence[str], command: str, description: str, style: Any, **more: Any
) -> Parsed:
    """What `tyro.cli` makes of a command line; `Misused`, in one sentence, where it refuses and draws a box."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            found = tyro.cli(
                schema,
                args=list(argv),
                prog=f"plaudit {command}",
                description=description,
                config=style,
                **more,
            )
    except SystemExit as end:
        if not end.code:  # it was asked for help, and gave it
            raise
        raise Misused(f"{command}: {_sentence(said.getvalue())}; see plaudit {command} --help") from None
    sys.stderr.write(said.getvalue())  # a warning, say
    return found


def _sentence(box: str) -> str:
    """What stands in a box below its title and above its next rule, whether or not it is drawn with lines."""
    rows = [inside for row in box.splitlines() if (inside := row.strip("│ "))]
    edges = [place for place, row in enumerate(rows) if row.startswith("╭") or not row.strip("-─╰╯")]
    text = " ".join(" ".join(rows[edges[0] + 1 : edges[1]] if len(edges) > 1 else rows).split())
    if unknown := re.fullmatch(r"Unrecognized options: (.*)", text):
        return _unknown(unknown.group(1).split(", "), rows)
    if choice := re.fullmatch(CHOICE, text):
        given, flag, known = choice.groups()
        names = sorted(set(re.findall(r"'([^']*)'", known)) - {"None"})
        return f"{flag}: {given} is not one of {', '.join(names)}"
    for pattern, ours in SENTENCES:
        if re.fullmatch(pattern, text):
            return re.sub(pattern, ours, text)
    return text.rstrip(".")


def _unknown(tokens: list[str], rows: list[str]) -> str:
    token = next((token for token in tokens if token.startswith("-")), tokens[0])
    known = [row.split()[0] for row in rows if row.startswith("--")]
    near = get_close_matches(token.partition("=")[0], known, 1, 0.5)
    return f"{token} is unknown" + (f"; did you mean {near[0]}?" if near else "")
