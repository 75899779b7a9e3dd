"""plaudit label RUN: answer the questions of a run in the browser, while it learns.

plaudit label --items FILE: answer questions about texts of your own, without a run. Each row of the file is a
question: `prompt`, `chosen` and `rejected` (or `prompt`, `first` and `second`), `prompt` and `completions` (to rank),
or `prompt` and `completion` (to rate, or thumbs up and down with --ask binary).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from plaudit.cli.flags import parse
from plaudit.errors import PlauditError


@dataclass(frozen=True)
class Label:
    """What to label, and where the page is."""

    run: tyro.conf.Positional[Path | None] = None
    """The run folder."""
    host: str = "127.0.0.1"
    """Where to listen; anything else than the default is open to other machines."""
    port: int = 0
    """The port; 0: the one of last time, or any that is free."""
    no_browser: bool = False
    """Open no browser."""


def main(argv: Sequence[str]) -> int:
    """Serve the pages until interrupted."""
    given = parse(Label, argv, "label", str(__doc__))
    if given.run is None:
        raise PlauditError("label: give the folder of a run, or --items FILE")
    from plaudit.web.server import Options, serve

    serve(given.run, Options(given.host, given.port, not given.no_browser))
    return 0
