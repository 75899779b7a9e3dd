"""plaudit label RUN: answer the questions of a run in the browser, while it learns.

plaudit label --items FILE: answer questions about texts of your own, without a run. Each row of the file is a
question: `prompt`, `chosen` and `rejected`, or `prompt`, `first` and `second` (which is better?), `prompt` and
`completions` (in which order?), or `prompt` and `completion` (how good? or with --ask binary: good or bad?). The same
command again goes on where you stopped; plaudit export FOLDER writes what was said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plaudit.cli.flags import Positional, parse
from plaudit.errors import PlauditError
from plaudit.feedback import Kind


@dataclass(frozen=True)
class Label:
    """What to label, and where the page is."""

    run: Positional[Path | None] = None
    """The folder of a run, or one made by --items before."""
    items: Path | None = None
    """A file of questions (JSONL, JSON or CSV), in place of a run."""
    out: Path | None = None
    """With --items: the folder for answers; none: runs/NAME-labels after the file's name."""
    ask: Kind | None = None
    """With --items: how to ask; none: two answers are compared, more are ranked, one is rated."""
    question: str | None = None
    """With --items: what to judge by, shown with every question."""
    wanted: int = 1
    """With --items: from how many people an answer to each question is wanted."""
    host: str = "127.0.0.1"
    """Where to listen; anything else than the default is open to other machines."""
    port: int = 0
    """The port; 0: the one of last time, or any that is free."""
    public: str | None = None
    """The address by which others reach it, where that is another one: a name, or a proxy that adds TLS."""
    no_browser: bool = False
    """Open no browser."""


def main(argv: Sequence[str]) -> int:
    """Serve the pages until interrupted."""
    given = parse(Label, argv, "label", str(__doc__))
    if (given.run is None) == (given.items is None):
        raise PlauditError("label: give either the folder of a run, or --items FILE")
    folder = given.run or _prepared(given)
    from plaudit.web.server import Options, serve

    serve(folder, Options(given.host, given.port, given.public, not given.no_browser))
    return 0


def _prepared(given: Label) -> Path:
    from plaudit.stages.label import Items, prepare

    assert given.items is not None
    folder = given.out or Path("runs") / f"{given.items.name.split('.')[0]}-labels"
    count, left_out = prepare(Items(given.items, given.ask, given.question, given.wanted), folder)
    print(f"{count} questions in {folder}" + (f" ({left_out} rows have equal answers)" if left_out else ""))
    return folder
