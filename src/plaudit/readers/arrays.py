"""Control data in .npz files: demonstrations, and comparisons of segments."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.errors import PlauditError
from plaudit.readers.lines import training_rows


@dataclass(frozen=True)
class RecordedSteps:
    """Demonstrated steps, one after another."""

    observations: np.ndarray
    """[N, *obs]"""
    actions: np.ndarray
    """[N, ...] as the environment wants them."""
    starts: np.ndarray
    """[N] bool: the first step of an episode."""
    returns: np.ndarray | None = None
    """[episodes] what each episode was worth; None where the file does not say."""

    def first_episodes(self, count: int) -> "RecordedSteps":
        """The first `count` episodes alone."""
        if count < 1:
            raise PlauditError(f"episodes: {count} are too few; give 1 or more")
        begins = np.flatnonzero(self.starts)
        stop = begins[count] if count < len(begins) else len(self.starts)
        returns = None if self.returns is None else self.returns[:count]
        return RecordedSteps(self.observations[:stop], self.actions[:stop], self.starts[:stop], returns)


@dataclass(frozen=True)
class Segment:
    """L steps in a row."""

    observations: np.ndarray
    """[L, *obs]"""
    actions: np.ndarray
    """[L, ...]"""
    terminated: bool = False
    """The last step ended its episode."""


@dataclass(frozen=True)
class RecordedPairs:
    """P compared pairs of segments of up to L steps."""

    observations: tuple[np.ndarray, np.ndarray]
    """First and second, [P, L, *obs]."""
    actions: tuple[np.ndarray, np.ndarray]
    """First and second, [P, L, ...]."""
    preference: np.ndarray
    """[P] 1: the first is better; 0: the second; .5: equal."""
    steps: tuple[np.ndarray, np.ndarray] | None = None
    """First and second, [P] how many steps there are before the padding; none: all L."""
    terminated: tuple[np.ndarray, np.ndarray] | None = None
    """First and second, [P] bool: the last step ended its episode; none: nowhere."""

    def segments(self, side: int) -> list[Segment]:
        """All first (0) or second (1) segments, without padding."""
        seen, given = self.observations[side], self.actions[side]
        steps = np.full(len(seen), seen.shape[1]) if self.steps is None else self.steps[side]
        ends = np.zeros(len(seen), bool) if self.terminated is None else self.terminated[side]
        return [
            Segment(seen[i, :length], given[i, :length], bool(end))
            for i, (length, end) in enumerate(zip(steps, ends, strict=True))
        ]


def read_demonstrations(path: Path) -> RecordedSteps:
    """`obs` (or `observations`) [N, ...], `actions` [N, ...] and `episode_starts` [N] (without it: one episode); with
    `episode_returns` [episodes] or `rewards` [N] it is known how good they are."""
    arrays = _load(path)
    observations = _numbers(arrays, path, "obs", "observations")
    actions = _numbers(arrays, path, "actions", "acts")
    arrays.setdefault("episode_starts", np.arange(len(actions)) == 0)
    starts = _numbers(arrays, path, "episode_starts").astype(bool)
    for name, array in (("actions", actions), ("episode_starts", starts)):
        if len(array) != len(observations):
            raise PlauditError(
                f"{path}: {name} has {len(array)} rows but obs has {len(observations)}; they must agree"
            )
    if not len(observations):
        raise PlauditError(f"{path}: there is not a single step in it; give a file with demonstrations")
    return RecordedSteps(observations, actions, starts, _returns(arrays, starts))


def environment_in(path: Path) -> str | None:
    """The environment that a file of demonstrations says it is of: a text `environment` or `env_id`; none: it does not
    say."""
    arrays = _load(path)
    said = (arrays[name] for name in ("environment", "env_id") if name in arrays)
    return next((str(one) for one in said if one.dtype.kind == "U" and one.ndim == 0), None)


def _returns(arrays: dict[str, np.ndarray], starts: np.ndarray) -> np.ndarray | None:
    """What each episode was worth, if the arrays say it and fit: this is told and nothing is learned from it."""
    begins = np.flatnonzero(starts)
    known, rewards = arrays.get("episode_returns"), arrays.get("rewards")
    if known is None and rewards is not None and rewards.shape == starts.shape and len(begins):
        known = np.add.reduceat(np.asarray(rewards, dtype=np.float64), begins)
    if known is None or known.shape != begins.shape or known.dtype.kind not in "fiu":
        return None
    return known.astype(np.float64) if np.isfinite(known).all() else None


def read_pairs(path: Path) -> RecordedPairs:
    """`obs_1`, `obs_2`, `action_1`, `action_2` [P, L, ...] and `label` [P] (0 first, 1 second, .5 equal).

    Where segments differ in length `steps_1` and `steps_2` [P] say how many of the L steps are there; `terminated_1`
    and `terminated_2` [P], which of them end with the end of their episode.
    """
    arrays = _load(path)
    names = ("obs_1", "obs_2", "action_1", "action_2")
    first, second, action_1, action_2 = (_numbers(arrays, path, name) for name in names)
    label = _numbers(arrays, path, "label")
    if first.shape != second.shape or action_1.shape != action_2.shape:
        raise PlauditError(
            f"{path}: the two sides differ in shape ({first.shape} and {second.shape}); they must agree"
        )
    if first.ndim < 3 or first.shape[:2] != action_1.shape[:2] or label.shape != first.shape[:1]:
        raise PlauditError(f"{path}: obs_1 {first.shape}, action_1 {action_1.shape}, label {label.shape} do not fit; "
                           "give [pairs, steps, ...] for segments and [pairs] for labels")  # fmt: skip
    wrong = np.flatnonzero(~np.isin(label, (0, 0.5, 1)))
    if len(wrong):
        raise PlauditError(
            f"{path}: label[{wrong[0]}] is {label[wrong[0]]}; a label is 0 (first), 1 (second) or .5 (equal)"
        )
    steps = _of_sides(arrays, path, "steps", len(label))
    for i, one in enumerate(steps or (), 1):
        wrong = np.flatnonzero((one != np.round(one)) | (one < 1) | (one > first.shape[1]))
        if len(wrong):
            raise PlauditError(
                f"{path}: steps_{i}[{wrong[0]}] is {one[wrong[0]]}; give whole numbers from 1 to {first.shape[1]}"
            )
    whole = None if steps is None else (steps[0].astype(np.int64), steps[1].astype(np.int64))
    ends = _of_sides(arrays, path, "terminated", len(label))
    terminated = None if ends is None else (ends[0].astype(bool), ends[1].astype(bool))
    return RecordedPairs((first, second), (action_1, action_2), 1.0 - label, whole, terminated)


def _of_sides(
    arrays: dict[str, np.ndarray], path: Path, name: str, pairs: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """A number of each segment, first and second; none where the file has none."""
    if not {f"{name}_1", f"{name}_2"} & arrays.keys():
        return None
    first, second = _numbers(arrays, path, f"{name}_1"), _numbers(arrays, path, f"{name}_2")
    if not first.shape == second.shape == (pairs,):
        raise PlauditError(
            f"{path}: {name}_1 {first.shape} and {name}_2 {second.shape} do not fit; give one for each of the {pairs} "
            "pairs"
        )
    return first, second


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise PlauditError(f"{path}: no such file; give the path of an .npz file") from None
    except (ValueError, AttributeError, zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        why = " ".join(str(error).split())  # AttributeError: a single .npy
        raise PlauditError(
            f"{path}: not a readable .npz of plain arrays ({why}); write it with numpy.savez"
        ) from None


def _numbers(arrays: dict[str, np.ndarray], path: Path, *names: str) -> np.ndarray:
    """The first array of these names, checked to be finite numbers."""
    found = next((arrays[name] for name in names if name in arrays), None)
    if found is None:
        raise PlauditError(
            f"{path}: there is no array `{names[0]}` (found: {', '.join(sorted(arrays)) or 'none'}); add it"
        )
    if not np.issubdtype(found.dtype, np.number) and found.dtype != bool:
        raise PlauditError(f"{path}: `{names[0]}` holds {found.dtype}, not numbers; convert it")
    if not found.ndim:
        raise PlauditError(
            f"{path}: `{names[0]}` is a single number, not an array; give a row for each step or pair"
        )
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        raise PlauditError(
            f"{path}: `{names[0]}`{bad[0].tolist()} is {found[tuple(bad[0])]}; drop or mend that row"
        )
    return found


LABELS = {"first": 1.0, "second": 0.0, "equal": 0.5}
UNDECIDED = ("both_bad", "skip")


def read_comparisons(path: Path) -> RecordedPairs:
    """The decided and equal comparisons as arrays; skipped and `both bad` ones are left out."""
    sides: tuple[list[Segment], list[Segment]] = ([], [])
    labels = []
    for where, row in training_rows(path):
        answer = row.get("answer")
        if row.get("kind") != "comparison" or answer not in (*LABELS, *UNDECIDED):
            raise PlauditError(
                f"{where}: not a comparison with an answer (one of {', '.join((*LABELS, *UNDECIDED))})"
            )
        if answer in UNDECIDED:
            continue
        for side, name in zip(sides, ("first", "second"), strict=True):
            found = segment(row, name, where)
            side.append(found)
            shapes, wanted = (
                [a.shape[1:] for a in (s.observations, s.actions)] for s in (found, sides[0][0])
            )
            if shapes != wanted:
                raise PlauditError(
                    f"{where}: its segments are of another shape than the first ones ({shapes} and {wanted}); "
                    "give segments with as many numbers in every step"
                )
        labels.append(LABELS[answer])
    if not labels:
        raise PlauditError(f"{path}: there is no decided comparison in it; give a file with answers")
    return recorded(sides, np.array(labels))


def recorded(sides: tuple[list[Segment], list[Segment]], preference: np.ndarray) -> RecordedPairs:
    """Pairs of segments as arrays: padded with zeros where they differ in length, which is then said, as ends are."""
    longest = max(len(one.actions) for side in sides for one in side)

    def padded(array: np.ndarray) -> np.ndarray:
        return np.pad(array, [(0, longest - len(array))] + [(0, 0)] * (array.ndim - 1))

    steps = [np.array([len(one.actions) for one in side]) for side in sides]
    ends = [np.array([one.terminated for one in side], bool) for side in sides]
    observations = [np.stack([padded(one.observations) for one in side]) for side in sides]
    actions = [np.stack([padded(one.actions) for one in side]) for side in sides]
    return RecordedPairs(
        (observations[0], observations[1]),
        (actions[0], actions[1]),
        preference,
        (steps[0], steps[1]) if min(map(np.min, steps)) < longest else None,
        (ends[0], ends[1]) if any(map(np.any, ends)) else None,
    )


def segment(row: dict[str, Any], side: str, where: str) -> Segment:
    """One side: its `observations` and `actions`, and whether it is `terminated`."""
    observations, actions = (_array(row, side, name, where) for name in ("observations", "actions"))
    if len(observations) != len(actions):
        raise PlauditError(
            f"{where}: `{side}` has {len(observations)} steps of observations but {len(actions)} of actions; "
            "mend the line"
        )
    terminated = row[side].get("terminated", False)
    if not isinstance(terminated, bool):
        raise PlauditError(f"{where}: `{side}.terminated` is {terminated!r}; it is true or false")
    return Segment(observations, actions, terminated)


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
