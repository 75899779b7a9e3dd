"""A stored segment as an export shows it, and comparisons as arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.errors import PlauditError
from plaudit.readers.arrays import LABELS
from plaudit.rewards.control import from_bytes


@dataclass(frozen=True)
class Side:
    """One segment."""

    option: dict[str, Any]
    """Observations and actions, step after step."""


def side(data: bytes) -> Side:
    """A segment from its artifact."""
    segment = from_bytes(data)
    return Side({"observations": segment.observations[0].tolist(), "actions": segment.executed[0].tolist()})


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
