"""plaudit serve RUN: let several people answer the questions of a run in their browsers, while it learns.

As `plaudit label`, but no browser is opened. The first link that it prints makes its reader the admin, who invites the
others on the page of people. Other machines reach it only with --host.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plaudit.cli.flags import Positional, parse


@dataclass(frozen=True)
class Serve:
    """What to serve, and where."""

    run: Positional[Path]
    """The folder of a run, or one made by plaudit label --items."""
    host: str = "127.0.0.1"
    """Where to listen; anything else than the default is open to other machines."""
    port: int = 0
    """The port; 0: the one of last time, or any that is free."""
    public: str | None = None
    """The address by which others reach it, where that is another one: a name, or a proxy that adds TLS."""


def main(argv: Sequence[str]) -> int:
    """Serve the pages until interrupted."""
    given = parse(Serve, argv, "serve", str(__doc__))
    from plaudit.web.server import Options, serve

    serve(given.run, Options(given.host, given.port, given.public, browser=False))
    return 0
