"""The stage `export`: the answers of a run in a file."""

from importlib import import_module
from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.pipeline import kinds
from plaudit.pipeline.run_folder import RunFolder
from plaudit.readers.lines import write_lines


def export_feedback(run: Path, to: Path) -> int:
    """Write the current view of a run's feedback to `.jsonl` or `.jsonl.gz`, or for control to `.npz`.

    Returns the number of answers.
    """
    folder = RunFolder.open(run)
    if not folder.feedback.exists():
        raise PlauditError(f"{run}: this run asked nobody; there is no feedback to export")
    kind = kinds.kind_of(kinds.load(folder.config))
    stage = import_module(f"plaudit.pipeline.{kind}.export")
    if to.suffix == ".npz" and kind == "control":
        return stage.write_arrays(list(stage.rows(folder)), to)
    if not to.name.endswith((".jsonl", ".jsonl.gz")):
        raise PlauditError(
            f"{to}: the name must end in .jsonl or .jsonl.gz" + (" or .npz" if kind == "control" else "")
        )
    return write_lines(stage.rows(folder), to)
