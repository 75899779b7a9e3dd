"""A stored segment as an export shows it, and comparisons as arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.errors import PlauditError
from plaudit.readers.arrays import LABELS, recorded, segment
from plaudit.rewards.control import from_bytes


@dataclass(frozen=True)
class Side:
    """One segment."""

    option: dict[str, Any]
    """Observations and actions, step after step; `terminated` where the last one ended its episode."""


def side(data: bytes) -> Side:
    """A segment from its artifact."""
    segment = from_bytes(data)
    steps = {"observations": segment.observations[0].tolist(), "actions": segment.executed[0].tolist()}
    return Side(steps | ({"terminated": True} if segment.ends.any() else {}))


def write_arrays(rows: list[dict[str, Any]], to: Path) -> int:
    """The decided comparisons as arrays in a new .npz file; returns how many. PlauditError for other kinds."""
    if to.exists():
        raise PlauditError(f"{to}: exists already; give another name")
    if other := next((row["kind"] for row in rows if row["kind"] != "comparison"), None):
        raise PlauditError(
            f"{to}: arrays hold comparisons only, and there is a {other}; give a name in .jsonl"
        )
    kept = [row for row in rows if row["answer"] in LABELS and not row["held_out"]]
    if not kept:
        raise PlauditError(f"{to}: no answer says yet which of two is better; ask for more first")
    sides = [[segment(row, side, str(to)) for row in kept] for side in ("first", "second")]
    found = recorded((sides[0], sides[1]), np.asarray([LABELS[row["answer"]] for row in kept]))
    told = {
        "obs": found.observations,
        "action": found.actions,
        "steps": found.steps,
        "terminated": found.terminated,
    }
    arrays = {f"{name}_{i}": pair[i - 1] for name, pair in told.items() if pair is not None for i in (1, 2)}
    np.savez_compressed(to, label=1.0 - found.preference, **arrays)  # pyright: ignore[reportArgumentType]
    return len(kept)
