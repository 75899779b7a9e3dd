"""What a run folder holds, read so that whatever is missing or damaged leaves the rest usable.

Folders of the first version have other names in them: they are translated here, and nowhere else in the report.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np
import yaml

from plaudit.errors import PlauditError, Renamed
from plaudit.feedback import Comparison, Feedback, kind_of
from plaudit.runs import old_names, settings
from plaudit.runs.folder import RunFolder
from plaudit.runs.old_names import renamed
from plaudit.storage import open_store
from plaudit.storage.store import LARGEST

Row = dict[str, Any]
Series = tuple[np.ndarray, np.ndarray]
"""Timesteps or updates [N] and a metric there [N]."""
Medium = Literal["control", "language"]
SAMPLES = "samples.json"
"""The file of answers side by side in the folder of a language run."""
SIDES = ("before", "after", "best")
"""Whose answers stand there."""


@dataclass(frozen=True)
class RunData:
    """The plain data of a run, by today's names."""

    folder: RunFolder
    manifest: Row
    config: Row
    written: Row
    """The config as config.yaml has it."""
    rows: tuple[Row, ...]
    troubles: tuple[str, ...] = ()
    """One sentence for each part that could not be read."""

    @property
    def medium(self) -> Medium:
        """What kind of policy learned."""
        return medium(self.config, self.rows)

    @property
    def result(self) -> Row:
        """What the run came to; empty before its end."""
        result = self.manifest.get("result")
        return result if isinstance(result, dict) else {}

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.manifest.get("seed", self.config.get("seed", 0)))

    @property
    def asks_people(self) -> bool:
        """Whether people, real or simulated, are part of this run."""
        return bool((self.config.get("feedback") or {}).get("labels")) or self.labels > 0

    @property
    def simulated(self) -> int | None:
        """How many simulated people answered; None where the config is lost but the metrics speak of some."""
        if not self.config and any("people/agreement" in row for row in self.rows):
            return None
        return len((self.config.get("feedback") or {}).get("people") or ())

    @property
    def labels(self) -> int:
        """Answers learned from so far."""
        return int(max((row.get("feedback/labels", 0) for row in self.rows), default=0))

    @property
    def timesteps(self) -> int:
        """Environment steps so far."""
        return int(max((row.get("timesteps", 0) for row in self.rows), default=0))

    @property
    def environment(self) -> str | None:
        """The name of the environment, where the config has one."""
        given = self.config.get("environment")
        name = given.get("id") if isinstance(given, dict) else given
        return None if name is None else str(name)


def medium(config: Row, rows: Sequence[Row]) -> Medium:
    """What kind of policy learned; where the config is lost, by what the metrics count.

    This is the one place of the report that asks.
    """
    if config:
        return old_names.medium(config)
    return "language" if any("tokens" in row for row in rows[:1]) else "control"


def read(folder: RunFolder) -> RunData:
    """Everything that can be read of the folder."""
    troubles: list[str] = []
    manifest, written, rows = {}, {}, []
    try:
        manifest = folder.read_manifest()
    except (PlauditError, OSError) as error:
        troubles.append(_reason(error, folder.manifest))
    try:
        loaded = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
        written = loaded if isinstance(loaded, dict) else {}
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        troubles.append(_reason(error, folder.config))
    try:
        for row in folder.rows():
            rows.append(renamed(row))
    except (PlauditError, OSError, UnicodeDecodeError) as error:
        troubles.append(_reason(error, folder.metrics))
    if isinstance(manifest.get("result"), dict):
        manifest = manifest | {"result": _result(manifest["result"])}
    return RunData(folder, manifest, _config(written), written, tuple(rows), tuple(troubles))


def samples(folder: RunFolder) -> tuple[list[Row], str]:
    """The prompts of a language run with answers that can be shown, and the reason where the file is damaged."""
    path = folder.path / SAMPLES
    if not path.exists():
        return [], ""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [], f"{path}: {' '.join(str(error).split())}"
    if not isinstance(rows, list):
        return [], f"{path}: a list of samples is wanted, not {type(rows).__name__}"
    named = [_renamed_inside(row, SIDES) for row in rows if isinstance(row, dict)]
    return [row for row in named if any(isinstance(row.get(side), dict) for side in SIDES)], ""


def series(rows: Sequence[Row], name: str, by: str = "timesteps") -> Series:
    """A metric where it was measured and is finite, against timesteps or another count of progress."""
    pairs = [(row[by], row[name]) for row in rows if is_number(row.get(by)) and is_number(row.get(name))]
    steps, values = zip(*pairs, strict=True) if pairs else ((), ())
    return np.array(steps, dtype=np.float64), np.array(values, dtype=np.float64)


def is_number(value: object) -> TypeGuard[int | float]:
    """A finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """[N] means over up to `width` values around each one, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - width // 2, 0), np.minimum(at + (width + 1) // 2, len(values))
    return (sums[high] - sums[low]) / (high - low)


def rounds(rows: Sequence[Row], by: str = "timesteps") -> np.ndarray:
    """The timesteps, or another count of progress, at which new answers came in."""
    steps, labels = series(rows, "feedback/labels", by)
    return steps[np.diff(labels, prepend=0) > 0]


def return_by_labels(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of answers [N], and the mean true return of the episodes that ended while there were so many [N].

    The episodes of a row were played before its new answers came in.
    """
    returns: dict[int, list[float]] = {}
    known = 0
    for row in rows:
        if is_number(row.get("rollout/ep_rew_mean")):
            returns.setdefault(known, []).append(float(row["rollout/ep_rew_mean"]))
        known = int(row.get("feedback/labels", known))
    counts = sorted(returns)
    return np.array(counts, dtype=np.float64), np.array([np.mean(returns[count]) for count in counts])


@dataclass
class AnswerCounts:
    """Counts of the answers of one person, or of all."""

    counts: dict[str, int] = field(default_factory=dict)
    """By answer: first, second, equal, both_bad, skip."""
    left: int = 0
    """Decided answers for the option shown on the left."""
    sided: int = 0
    """Decided answers of which we know the side."""
    held_out: int = 0
    """Answers that nothing learns from, of any kind."""
    others: dict[str, int] = field(default_factory=dict)
    """Answers that are no comparisons, by kind."""

    @property
    def total(self) -> int:
        """Comparisons in all."""
        return sum(self.counts.values())

    def add(self, feedback: Feedback, shown: tuple[str, ...], held_out: bool = False) -> None:
        """Count an answer; `shown` are the options from left to right, empty where unknown."""
        self.held_out += held_out
        if not isinstance(feedback, Comparison):
            kind = kind_of(feedback)
            self.others[kind] = self.others.get(kind, 0) + 1
            return
        comparison = feedback
        self.counts[comparison.answer] = self.counts.get(comparison.answer, 0) + 1
        if comparison.answer in ("first", "second") and len(set(shown)) == 2:
            self.sided += 1
            self.left += comparison.options[comparison.answer == "second"] == shown[0]


def answers(folder: RunFolder) -> dict[str, AnswerCounts]:
    """Standing answers by person; PlauditError where the store cannot be read. Nothing without a store."""
    if not folder.feedback.exists():
        return {}
    store = open_store(folder.feedback)
    people: dict[str, AnswerCounts] = {}
    try:
        view = store.view(LARGEST)
        queries = {query.id: query for query in store.queries()}
        for response in view:
            query = queries.get(response.query_id)
            items = query.items if query is not None else ()
            shown = tuple(items[place] for place in response.shown_order if place < len(items))
            held_out = query is not None and query.purpose != "train"
            people.setdefault(response.annotator, AnswerCounts()).add(response.feedback, shown, held_out)
    finally:
        store.close()
    return dict(sorted(people.items()))


def together(people: dict[str, AnswerCounts]) -> AnswerCounts:
    """Everybody's answers."""
    total = AnswerCounts()
    for person in people.values():
        total.held_out += person.held_out
        total.left, total.sided = total.left + person.left, total.sided + person.sided
        for mine, all_ in ((person.counts, total.counts), (person.others, total.others)):
            for name, count in mine.items():
                all_[name] = all_.get(name, 0) + count
    return total


def _config(written: Row) -> Row:
    """A config by today's names; as it is where it says a thing twice."""
    if not written:
        return {}
    medium = old_names.medium(written)
    table = old_names.CONTROL_KEYS if medium == "control" else old_names.LANGUAGE_KEYS
    with warnings.catch_warnings(action="ignore", category=Renamed):
        try:
            config = old_names.emptied(settings.renamed(old_names.moved(written), table))
        except PlauditError:
            return written
    environment = config.get("environment") or {}
    return (
        config | {"environment": environment | {"kind": medium}} if isinstance(environment, dict) else config
    )


def _result(given: Row) -> Row:
    """A result by today's names, and what it holds of the policy before and of single answers likewise."""
    result = _renamed_inside(renamed(given), ("before",))
    if isinstance(result.get("scores"), dict):
        result["scores"] = _renamed_inside(result["scores"], ("before", "after"))
    return result


def _renamed_inside(row: Row, names: Sequence[str]) -> Row:
    """The row, with the mappings under these names translated."""
    return row | {name: renamed(row[name]) for name in names if isinstance(row.get(name), dict)}


def _reason(error: Exception, path: Path) -> str:
    text = " ".join((error.strerror or "" if isinstance(error, OSError) else str(error)).split())
    return text if str(path) in text else f"{path}: {text}"
