"""What a run folder holds, read so that whatever is missing or damaged leaves the rest usable."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import yaml

from plaudit.errors import PlauditError
from plaudit.runs.folder import RunFolder

Series = tuple[np.ndarray, np.ndarray]
"""Environment steps or updates [N] and a metric there [N]."""


@dataclass(frozen=True)
class Evidence:
    """The plain data of a run."""

    folder: RunFolder
    manifest: dict[str, Any]
    config: dict[str, Any]
    rows: tuple[dict[str, Any], ...]
    troubles: tuple[str, ...] = ()
    """One sentence for each part that could not be read."""

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.manifest.get("seed", self.config.get("seed", 0)))

    @property
    def asks_people(self) -> bool:
        """Whether people are part of this run."""
        return bool((self.config.get("feedback") or {}).get("labels")) or self.labels > 0

    @property
    def labels(self) -> int:
        """Answers learned from so far."""
        return int(max((row.get("feedback/labels", 0) for row in self.rows), default=0))

    @property
    def steps(self) -> int:
        """Environment steps so far."""
        return int(max((row.get("decisions", 0) for row in self.rows), default=0))

    @property
    def environment(self) -> str | None:
        """The name of the environment, where the config has one."""
        given = self.config.get("environment")
        name = given.get("id") if isinstance(given, dict) else given
        return None if name is None else str(name)

    @property
    def kind(self) -> str:
        """control or language; where the config is lost, by what the metrics speak of."""
        if self.config:
            return "language" if "language" in self.config else "control"
        return "language" if any("rollout/answer_tokens" in row for row in self.rows[:1]) else "control"


def read(folder: RunFolder) -> Evidence:
    """Everything that can be read of the folder."""
    troubles: list[str] = []
    manifest, config, rows = {}, {}, []
    try:
        manifest = folder.read_manifest()
    except (PlauditError, OSError) as error:
        troubles.append(_said(error, folder.manifest))
    try:
        loaded = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
        config = loaded if isinstance(loaded, dict) else {}
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        troubles.append(_said(error, folder.config))
    try:
        for row in folder.rows():
            rows.append(row)
    except (PlauditError, OSError, UnicodeDecodeError) as error:
        troubles.append(_said(error, folder.metrics))
    return Evidence(folder, manifest, config, tuple(rows), tuple(troubles))


def series(rows: tuple[dict[str, Any], ...], name: str, by: str = "decisions") -> Series:
    """A metric where it was measured and is finite, against environment steps or another count of progress."""
    found = [(row[by], row[name]) for row in rows if is_number(row.get(by)) and is_number(row.get(name))]
    steps, values = zip(*found, strict=True) if found else ((), ())
    return np.array(steps, dtype=np.float64), np.array(values, dtype=np.float64)


def is_number(value: Any) -> TypeGuard[int | float]:
    """A finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """[N] means over up to `width` values around each one, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - width // 2, 0), np.minimum(at + (width + 1) // 2, len(values))
    return (sums[high] - sums[low]) / (high - low)


def rounds(rows: tuple[dict[str, Any], ...], by: str = "decisions") -> np.ndarray:
    """The environment steps, or another count of progress, at which new answers came in."""
    steps, labels = series(rows, "feedback/labels", by)
    return steps[np.diff(labels, prepend=0) > 0]


def return_by_labels(rows: tuple[dict[str, Any], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of answers [N], and the mean true return of the episodes that ended while there were so many [N].

    The episodes of a row were played before its new answers came in.
    """
    found: dict[int, list[float]] = {}
    known = 0
    for row in rows:
        if is_number(row.get("rollout/ep_rew_mean")):
            found.setdefault(known, []).append(float(row["rollout/ep_rew_mean"]))
        known = int(row.get("feedback/labels", known))
    counts = sorted(found)
    return np.array(counts, dtype=np.float64), np.array([np.mean(found[count]) for count in counts])


def _said(error: Exception, path: Path) -> str:
    text = " ".join((error.strerror or "" if isinstance(error, OSError) else str(error)).split())
    return text if str(path) in text else f"{path}: {text}"
