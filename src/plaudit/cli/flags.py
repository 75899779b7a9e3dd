"""Command lines from frozen dataclasses, for commands that must start fast: nothing heavy is imported here."""

from collections.abc import Sequence
from typing import TypeVar

import tyro

Parsed = TypeVar("Parsed")


def parse(schema: type[Parsed], argv: Sequence[str], command: str, description: str) -> Parsed:
    """A dataclass from flags; a truth is a flag without a value."""
    return tyro.cli(
        schema,
        args=list(argv),
        prog=f"plaudit {command}",
        description=description,
        config=(tyro.conf.AvoidSubcommands,),
    )
