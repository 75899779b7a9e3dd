"""The stage `export`: the answers of a run in a file."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from plaudit.errors import PlauditError
from plaudit.pipeline import kinds
from plaudit.readers.lines import write_lines
from plaudit.runs.folder import RunFolder
from plaudit.stages import trl
from plaudit.stages.label import STAGE
from plaudit.storage.backup import refuse_lost
from plaudit.storage.store import LARGEST

Form = Literal["ours", "trl"]


def export_feedback(run: Path, to: Path, form: Form = "ours") -> int:
    """Write the current view of a run's feedback to `.jsonl` or `.jsonl.gz`, or for control to `.npz`.

    Returns the number of rows.
    """
    folder = RunFolder.open(run)
    kind = kind_of(folder)
    if form == "trl" and kind == "control":
        raise PlauditError(f"--form: TRL trains language models, and {run} holds answers about clips")
    if to.suffix == ".npz" and kind == "control":
        stage = import_module("plaudit.stages.adapters.control_export")
        return stage.write_arrays(list(rows_of(folder)), to)
    if not to.name.endswith((".jsonl", ".jsonl.gz")):
        raise PlauditError(
            f"{to}: the name must end in .jsonl or .jsonl.gz" + (" or .npz" if kind == "control" else "")
        )
    return write_lines(trl.columns(rows_of(folder)) if form == "trl" else rows_of(folder), to)


def rows_of(folder: RunFolder, upto: int = LARGEST) -> Iterator[dict[str, Any]]:
    """The standing answers of a run, as they are exported; as of answer `upto`."""
    refuse_lost(folder.feedback)
    if not folder.feedback.exists():
        raise PlauditError(f"{folder.path}: this run asked nobody; there is no feedback to export")
    return import_module(f"plaudit.pipeline.{kind_of(folder)}.export").rows(folder, upto)


def kind_of(folder: RunFolder) -> str:
    """What the answers are about: control or language."""
    if folder.read_manifest().get("stage") == STAGE:
        return "language"
    return kinds.kind_of(kinds.load(folder.config))
