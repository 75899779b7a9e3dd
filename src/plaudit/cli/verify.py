"""plaudit verify RUN: prove that every answer that was promised to be stored is in the store, and in the export.

It checks the store against itself, against responses.jsonl beside it, and against --receipts: JSON lines with
`client_uuid`, `response_id`, `seq` and `sha256`, as the server gave them. Exit status 1 where anything is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plaudit.cli.flags import Positional, parse
from plaudit.errors import PlauditError
from plaudit.stages.verify import Verdict, verify

SHOWN = 20
"""Faults that are printed."""


@dataclass(frozen=True)
class Verify:
    """What to check."""

    run: Positional[Path]
    """The folder of a run, or one made by plaudit label --items."""
    receipts: Path | None = None
    """Receipts that clients have kept."""


def main(argv: Sequence[str]) -> int:
    """Check one run's answers."""
    given = parse(Verify, argv, "verify", str(__doc__))
    found = verify(given.run, given.receipts)
    print(
        f"{found.answers} answers in the store, {found.standing} of them standing; {found.receipts} receipts and "
        f"{found.mirrored} mirrored answers compared; {found.exported} answers in the export"
    )
    for fault in found.faults[:SHOWN]:
        print(fault)
    if found.faults:
        raise PlauditError(
            f"{given.run}: {len(found.faults)} fault{'s'[: len(found.faults) > 1]}; put the store back from its copy: "
            f"plaudit restore {given.run}"
        )
    print(_conclusion(found))
    return 0


def _conclusion(found: Verdict) -> str:
    """No more than was shown."""
    if not found.answers and not found.receipts:
        return "Nothing was answered yet, so there is nothing to prove."
    exported = "every standing answer is in the export"
    if found.receipts:
        return f"Every receipt is in the store, and {exported}."
    mirrored = ", so are the copies in responses.jsonl" if found.mirrored else ""
    return (
        f"The store is whole{mirrored}, and {exported}. No receipts were compared, so this says nothing about "
        "promises to people: each can download theirs from the menu of the page, for --receipts FILE."
    )
