"""The stage `export` for control: a run's answers with the segments they are about, as JSON lines or as arrays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.errors import PlauditError
from plaudit.feedback import options_of
from plaudit.models.transitions import Transitions
from plaudit.rewards.segments import from_bytes
from plaudit.readers.comparisons import LABELS
from plaudit.runs.folder import RunFolder
from plaudit.stages.columns import columns
from plaudit.storage import Artifacts, open_store
from plaudit.storage.store import LARGEST


def rows(folder: RunFolder, upto: int = LARGEST) -> Iterator[dict[str, Any]]:
    """The standing answers of a run, each with the segments it is about; from `held_out` ones nothing is learned."""
    artifacts = Artifacts(folder.artifacts)
    store = open_store(folder.feedback)
    try:
        purposes = {query.id: query.purpose for query in store.queries()}
        for response in store.view(upto):
            options = options_of(response.feedback)
            segments = [_side(from_bytes(artifacts.get(option))) for option in options]
            yield {
                **columns(response.feedback, segments, "segment"),
                "annotator": response.annotator,
                "seq": response.seq,
                "held_out": purposes[response.query_id] != "train",
                "options": list(options),
            }
    finally:
        store.close()


def _side(segment: Transitions) -> dict[str, Any]:
    return {"observations": segment.observations[0].tolist(), "actions": segment.executed[0].tolist()}


def write_arrays(rows: list[dict[str, Any]], to: Path) -> int:
    """The decided comparisons as arrays in a new .npz file; returns how many. PlauditError for other kinds."""
    if to.exists():
        raise PlauditError(f"{to}: exists already; give another name")
    if other := next((row["kind"] for row in rows if row["kind"] != "comparison"), None):
        raise PlauditError(
            f"{to}: arrays hold comparisons only, and there is a {other}; give a name in .jsonl"
        )
    kept = [row for row in rows if row["answer"] in LABELS and not row["held_out"]]
    sides: dict[str, np.ndarray] = {
        f"{short}_{i}": np.asarray([row[side][name] for row in kept], dtype=np.float32)
        for name, short in (("observations", "obs"), ("actions", "action"))
        for i, side in ((1, "first"), (2, "second"))
    }
    sides["label"] = 1.0 - np.asarray([LABELS[row["answer"]] for row in kept])
    np.savez_compressed(to, **sides)  # pyright: ignore[reportArgumentType]
    return len(kept)
