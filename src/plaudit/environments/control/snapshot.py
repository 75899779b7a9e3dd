"""How a source comes back to where it was: by doing the same again, by its own state, or not at all.

What is kept is plain: arrays, whole numbers, texts and lists of texts, so that JSON and npz carry it.
"""

import json
from typing import Any, Literal, Protocol, runtime_checkable

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
            "starts": [json.dumps(row.start, default=_plain) for row in self.rows],
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


def _plain(value: Any) -> Any:
    """Bit generators other than PCG64 keep arrays in their state."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
