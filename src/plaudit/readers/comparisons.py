"""Comparisons of control segments as JSON lines: one answer a line, with both segments inside.

Each line is a mapping with `kind` ("comparison"), `answer` (first, second, equal, both_bad, skip), `first` and
`second` (each with `observations` and `actions`, [steps][...]), and whatever else is known of the answer, such as
`annotator`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from plaudit.errors import PlauditError
from plaudit.readers.arrays import RecordedPairs
from plaudit.readers.lines import training_rows

LABELS = {"first": 1.0, "second": 0.0, "equal": 0.5}
UNDECIDED = ("both_bad", "skip")


def read_comparisons(path: Path) -> RecordedPairs:
    """The decided and equal comparisons as arrays; skipped and `both bad` ones are left out."""
    sides: tuple[list[Any], ...] = ([], [], [], [])
    labels = []
    for where, row in training_rows(path):
        answer = row.get("answer")
        if row.get("kind") != "comparison" or answer not in (*LABELS, *UNDECIDED):
            raise PlauditError(
                f"{where}: not a comparison with an answer (one of {', '.join((*LABELS, *UNDECIDED))})"
            )
        if answer in UNDECIDED:
            continue
        found = [*segment(row, "first", where), *segment(row, "second", where)]
        shapes = [array.shape for array in found]
        wanted = [side[0].shape for side in sides] if labels else [*shapes[:2], *shapes[:2]]
        if shapes != wanted:
            raise PlauditError(
                f"{where}: its segments are of another shape than the first ones ({shapes} and {wanted}); "
                "give segments of one length, with as many numbers in every step"
            )
        labels.append(LABELS[answer])
        for side, array in zip(sides, found, strict=True):
            side.append(array)
    if not labels:
        raise PlauditError(f"{path}: there is no decided comparison in it; give a file with answers")
    first, given_1, second, given_2 = (np.stack(side) for side in sides)
    return RecordedPairs((first, second), (given_1, given_2), np.array(labels))


def segment(row: dict[str, Any], side: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Observations and actions of one side, [L, ...] each."""
    observations, actions = (_array(row, side, name, where) for name in ("observations", "actions"))
    if len(observations) != len(actions):
        raise PlauditError(
            f"{where}: `{side}` has {len(observations)} steps of observations but {len(actions)} of actions; "
            "mend the line"
        )
    return observations, actions


def _array(row: dict[str, Any], side: str, name: str, where: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite and is refused below
            array = np.asarray(row[side][name], dtype=np.float32)
    except (KeyError, TypeError):
        raise PlauditError(
            f"{where}: `{side}.{name}` is missing; each side needs observations and actions"
        ) from None
    except ValueError:
        raise PlauditError(
            f"{where}: `{side}.{name}` is not a rectangular list of numbers; mend the line"
        ) from None
    if array.ndim < 2 or not np.isfinite(array).all():
        raise PlauditError(f"{where}: `{side}.{name}` must be [steps][...] of finite numbers; mend the line")
    return array
