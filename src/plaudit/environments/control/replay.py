"""What it takes to show a segment of behaviour again: where its episode began and the actions since."""

import json
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Literal, Protocol, runtime_checkable
from zipfile import BadZipFile

import numpy as np
from gymnasium.vector import SyncVectorEnv

from plaudit.environments.control.classic import ClassicVectorEnv
from plaudit.environments.control.wrappers import Replayable
from plaudit.errors import PlauditError

Opening = tuple[dict[str, Any], list[np.ndarray]]
"""Where a replay of an environment can begin, and the actions since."""


@runtime_checkable
class Memory(Protocol):
    """What a Source asks of its vector environment beyond Gymnasium's interface."""

    resume: Literal["exact", "statistical"]

    def snapshot(self) -> dict[str, Any]:
        """Where every environment is."""
        ...

    def restore(self, saved: dict[str, Any], pending: np.ndarray) -> np.ndarray | None:
        """Come back there: the observations [N, *obs]; None where only fresh episodes are possible."""
        ...

    def opening(self, row: int) -> Opening:
        """The start of the running episode of environment `row`, or of what is known of it."""
        ...


class ReplayMemory:
    """SyncVectorEnv: of each environment the random state before its last reset and the actions since."""

    resume: Literal["exact", "statistical"] = "exact"

    def __init__(self, vector: SyncVectorEnv):
        self.vector = vector
        self.rows = [env if isinstance(env, Replayable) else Replayable(env) for env in vector.envs]
        vector.envs = list(self.rows)

    def snapshot(self) -> dict[str, Any]:
        """Starts, and the actions of all environments one after another."""
        space = self.vector.single_action_space
        taken = [np.asarray(action) for row in self.rows for action in row.actions]
        empty = np.zeros((0, *(space.shape or ())), dtype=space.dtype)
        return {
            "starts": [json.dumps(row.start, default=_listed) for row in self.rows],
            "lengths": np.array([len(row.actions) for row in self.rows]),
            "actions": np.stack(taken) if taken else empty,
        }

    def restore(self, saved: dict[str, Any], pending: np.ndarray) -> np.ndarray:
        """Replay every unfinished episode."""
        self.vector.reset(seed=0)  # clears the vector environment's own flags
        lengths = np.asarray(saved["lengths"], dtype=np.int64)
        actions = np.asarray(
            saved["actions"], dtype=self.vector.single_action_space.dtype
        )  # JSON widens float32
        pieces = np.split(actions, np.cumsum(lengths)[:-1])
        observations = [
            row.come_back(json.loads(start), piece, reset_next=bool(wait))
            for row, start, piece, wait in zip(self.rows, saved["starts"], pieces, pending, strict=True)
        ]
        return np.stack(observations)

    def opening(self, row: int) -> Opening:
        """The episode's reset and all its actions."""
        return self.rows[row].start, list(self.rows[row].actions)


class StateMemory:
    """Our own environments: their state is all there is."""

    resume: Literal["exact", "statistical"] = "exact"

    def __init__(self, vector: ClassicVectorEnv):
        self.vector = vector

    def snapshot(self) -> dict[str, Any]:
        """States, elapsed steps and random states."""
        return self.vector.snapshot()

    def restore(self, saved: dict[str, Any], pending: np.ndarray) -> np.ndarray:
        """Set them."""
        return self.vector.restore(saved)

    def opening(self, row: int) -> Opening:
        """The physics as they are now: nothing before is needed."""
        return {"physics": self.vector.physics()[row].tolist(), "elapsed": int(self.vector.elapsed[row])}, []


class NoMemory:
    """Any other vector environment: what its environments hide cannot be asked for."""

    resume: Literal["exact", "statistical"] = "statistical"

    def __init__(self, name: str):
        self.name = name

    def snapshot(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, saved: dict[str, Any], pending: np.ndarray) -> None:
        """Impossible."""
        return None

    def opening(self, row: int) -> Opening:
        """Impossible."""
        raise PlauditError(
            f"{self.name}: this vector environment cannot be replayed, so nothing of it can be shown; "
            "set `vectorization: sync` (or `auto`) and `resume: exact`"
        )


def _listed(value: object) -> Any:
    """Bit generators other than PCG64 keep arrays in their state."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


@dataclass(frozen=True)
class Replay:
    """A segment that can be watched: begin the episode, take the actions, look from `first_frame` on."""

    environment: str
    """Gymnasium's id."""
    kwargs: dict[str, Any]
    """Keyword arguments of the environment."""
    start: dict[str, Any]
    """{"seed": s}, {"generator": state before the reset}, or {"physics": [...], "elapsed": steps}."""
    actions: np.ndarray
    """[T, *action] as the environment was given them, from the start to the end of the segment."""
    first_frame: int
    """Number of actions before the segment."""

    def to_bytes(self) -> bytes:
        """An npz file (no pickle); equal replays give equal bytes."""
        card = {
            "environment": self.environment,
            "kwargs": self.kwargs,
            "start": self.start,
            "first_frame": self.first_frame,
        }
        try:
            text = json.dumps(card, sort_keys=True, default=_plain)
        except TypeError as error:
            raise PlauditError(
                f"{self.environment}: its kwargs cannot be stored ({error}); use plain values"
            ) from None
        file = BytesIO()
        np.savez(file, card=np.array(text), actions=np.ascontiguousarray(self.actions))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Replay":
        """The replay back; PlauditError where the bytes are something else."""
        try:
            with np.load(BytesIO(data), allow_pickle=False) as file:
                card = json.loads(str(file["card"]))
                return cls(actions=file["actions"], **card)
        except (ValueError, KeyError, TypeError, OSError, EOFError, BadZipFile) as error:
            raise PlauditError(f"an artifact is not a replay ({error}); restore it from a copy") from None


@dataclass(frozen=True)
class _Episode:
    """A stretch of one environment's columns that belongs to one episode."""

    column: int
    """The vector step of its first decision in this rollout."""
    opening: Opening
    end: int | None = None
    """The vector step at which it ended, if it did."""


class ReplayRecorder:
    """The episodes that overlap the current rollout; vector steps are counted from `begin_rollout`.

    Nothing is kept before the first `begin_rollout` (an evaluation shows nothing).
    """

    def __init__(self, environment: str, kwargs: dict[str, Any], memory: Memory):
        self.environment, self.kwargs, self.memory = environment, kwargs, memory
        self.columns: list[np.ndarray] = []
        self.episodes: list[list[_Episode]] = []
        self._waiting = np.zeros(0, dtype=bool)
        self._recording = False

    def stop(self, waiting: np.ndarray) -> None:
        """The source was put elsewhere: forget everything. `waiting` [N]: the next step is a dead one."""
        self.columns, self.episodes, self._recording = [], [], False
        self._waiting = waiting.copy()

    def begin_rollout(self) -> None:
        """Forget what was; count from here."""
        self.columns, self._recording = [], self.memory.resume == "exact"
        self.episodes = [[] for _ in self._waiting]
        for row in np.flatnonzero(~self._waiting) if self._recording else ():
            self.episodes[row].append(_Episode(0, self.memory.opening(int(row))))

    def record(self, actions: np.ndarray, ended: np.ndarray, begun: np.ndarray) -> None:
        """A vector step: actions [N, *action], where an episode ended [N], where one has begun since [N]."""
        self._waiting = (self._waiting | ended) & ~begun
        if not self._recording:
            return
        column = len(self.columns)
        self.columns.append(actions)
        for row in np.flatnonzero(ended):
            self.episodes[row][-1] = replace(self.episodes[row][-1], end=column)
        for row in np.flatnonzero(begun):
            self.episodes[row].append(_Episode(column + 1, self.memory.opening(int(row))))

    def replay(self, row: int, first: int, last: int) -> Replay:
        """Vector steps first..last (inclusive) of environment `row`; dead steps at either end are left out.

        Raises PlauditError where they lie outside the rollout, are dead, or belong to more than one episode.
        """
        if self.memory.resume != "exact":
            self.memory.opening(row)
        if not 0 <= first <= last < len(self.columns):
            raise PlauditError(
                f"{self.environment}: steps {first} to {last} lie outside the rollout's {len(self.columns)}"
            )
        final = len(self.columns) - 1
        within = [
            e for e in self.episodes[row] if e.column <= last and (final if e.end is None else e.end) >= first
        ]
        if len(within) != 1:
            what = "hold no decision" if not within else "cross the end of an episode"
            raise PlauditError(
                f"{self.environment}: steps {first} to {last} of environment {row} {what}; cut elsewhere"
            )
        episode = within[0]
        start, before = episode.opening
        last = last if episode.end is None else min(last, episode.end)
        taken = before + [self.columns[column][row] for column in range(episode.column, last + 1)]
        first_frame = len(before) + max(first - episode.column, 0)
        return Replay(self.environment, dict(self.kwargs), start, np.stack(taken), first_frame)


def _plain(value: object) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__}")
