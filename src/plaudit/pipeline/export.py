"""The stage `export`: a run's answers with the segments they are about, as JSON lines or as arrays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.models.transitions import Transitions
from plaudit.pipeline.run_folder import RunFolder
from plaudit.pipeline.segments import from_bytes
from plaudit.readers.comparisons import LABELS, write_lines
from plaudit.storage import Artifacts, open_store
from plaudit.storage.store import LARGEST


def export_feedback(run: Path, to: Path) -> int:
    """Write the current view of a run's feedback to `.jsonl`, `.jsonl.gz` or `.npz`; returns the number of answers."""
    folder = RunFolder.open(run)
    if not folder.feedback.exists():
        raise PlauditError(f"{run}: this run asked nobody; there is no feedback to export")
    rows = _rows(folder)
    if to.suffix == ".npz":
        return _arrays(list(rows), to)
    if not to.name.endswith((".jsonl", ".jsonl.gz")):
        raise PlauditError(f"{to}: the name must end in .jsonl, .jsonl.gz or .npz")
    return write_lines(rows, to)


def _rows(folder: RunFolder) -> Iterator[dict[str, Any]]:
    artifacts = Artifacts(folder.artifacts)
    store = open_store(folder.feedback)
    try:
        for response in store.view(LARGEST):
            said = response.feedback
            if isinstance(said, Comparison):
                first, second = (from_bytes(artifacts.get(option)) for option in said.options)
                yield {
                    "kind": "comparison",
                    "answer": said.answer,
                    "annotator": response.annotator,
                    "seq": response.seq,
                    "options": list(said.options),
                    "first": _side(first),
                    "second": _side(second),
                }
    finally:
        store.close()


def _side(segment: Transitions) -> dict[str, Any]:
    return {"observations": segment.observations[0].tolist(), "actions": segment.executed[0].tolist()}


def _arrays(rows: list[dict[str, Any]], to: Path) -> int:
    if to.exists():
        raise PlauditError(f"{to}: exists already; give another name")
    kept = [row for row in rows if row["answer"] in LABELS]
    sides: dict[str, np.ndarray] = {
        f"{short}_{i}": np.asarray([row[side][name] for row in kept], dtype=np.float32)
        for name, short in (("observations", "obs"), ("actions", "action"))
        for i, side in ((1, "first"), (2, "second"))
    }
    sides["label"] = 1.0 - np.asarray([LABELS[row["answer"]] for row in kept])
    np.savez_compressed(to, **sides)  # pyright: ignore[reportArgumentType]
    return len(kept)
