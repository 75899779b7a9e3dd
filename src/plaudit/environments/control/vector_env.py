"""One stream of steps from any vector environment, whatever it does at the end of an episode.

Gymnasium's vector environments reset in three ways (`AutoresetMode`): in the step that ended the episode, in
the next one (a dead step whose action is ignored), or when told to. A `Source` hands out the same `Step`s for
all three; only the dead steps stay, and are marked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from plaudit.environments.control.classic import ClassicVectorEnv
from plaudit.environments.control.replay import Memory, NoMemory, ReplayMemory, ReplayRecorder, StateMemory
from plaudit.environments.control.spaces import check_observation_space, legal, merged, own_space, spaces
from plaudit.environments.control.wrappers import check_action_space
from plaudit.errors import PlauditError


@dataclass(frozen=True)
class Step:
    """What one action in each of N environments led to; arrays are to be read, not written."""

    observations: np.ndarray
    """[N, *obs] to act on next, after any reset. Where the next step is dead: the final observation."""
    successors: np.ndarray
    """[N, *obs] the true successor of the state acted in: the final observation where an episode ended."""
    rewards: np.ndarray
    """[N] float64."""
    terminated: np.ndarray
    """[N] bool: nothing follows."""
    truncated: np.ndarray
    """[N] bool: a time limit; may be true together with terminated."""
    alive: np.ndarray
    """[N] bool; False: the dead step after an end (next-step autoreset), where no decision was taken."""


@dataclass(frozen=True)
class _Apart:
    """Where some episodes have ended and others begun in one step."""

    observations: np.ndarray
    """[N, *obs] to act on."""
    successors: np.ndarray
    """[N, *obs] the true ones."""
    infos: dict[str, Any]
    """About what is acted on."""


class Source:
    """N environments that step together. Environment i is seeded with seed + i.

    `vector` is used from here on by the source alone. Exact to resume are a plain `SyncVectorEnv` (its
    environments are wrapped in `Replayable`) and our own vectorised environments; others, and those with
    vector wrappers around them, resume at fresh episodes. `kwargs` are what the environment was made with, so
    that it can be made again for rendering.
    """

    def __init__(
        self,
        vector: VectorEnv,
        name: str | None = None,
        kwargs: dict[str, Any] | None = None,
        resume: Literal["exact", "statistical"] = "exact",
        horizon: int | None = None,
    ):
        self.vector = vector
        self.name = name or _name(vector)
        self.num_envs = vector.num_envs
        self.observation_space = vector.single_observation_space
        self.action_space = vector.single_action_space
        self.horizon = horizon or _horizon(vector)
        """The time limit of an episode, where it is known."""
        self.mode = _mode(vector, self.name)
        if not isinstance(self.observation_space, Box):
            check_observation_space(self.observation_space, self.name)
            raise PlauditError(
                f"{self.name}: observations of the kind {type(self.observation_space).__name__} of a vector "
                "environment are not supported; give it as single environments (vectorization: sync), or wrap "
                "each in gymnasium.wrappers.FlattenObservation to make them a Box"
            )
        check_action_space(self.action_space, self.name)
        self.spaces = spaces(self.observation_space, self.action_space)
        """What a policy must fit."""
        self.own_space = own_space(vector)
        """The observations as one environment gives them, before they were flattened."""
        self.memory = _memory(vector, self.name) if resume == "exact" else NoMemory(self.name)
        self.resume: Literal["exact", "statistical"] = self.memory.resume
        self.recorder = ReplayRecorder(self.name, kwargs or {}, self.memory)
        self.pending = np.zeros(self.num_envs, dtype=bool)
        """[N] bool: the next step of this environment is a dead one."""
        self.legal: np.ndarray | None = None
        """[N, A] bool: which actions are allowed now; none: the environments do not say."""
        self._seed, self._steps = 0, 0
        self._observations: np.ndarray | None = None

    def reset(self, seed: int | Sequence[int]) -> np.ndarray:
        """Begin anew: the first observations [N, *obs]. Environment i with seed + i, or with the i-th of several."""
        given: Any = int(seed) if isinstance(seed, int | np.integer) else [int(one) for one in seed]
        observations, infos = self._guarded("reset", lambda: self.vector.reset(seed=given))
        self._seed, self._steps = given if isinstance(given, int) else given[0], 0
        self.pending = np.zeros(self.num_envs, dtype=bool)
        self.legal = self._legal(infos)
        return self._begin(self._finite(np.array(observations), "observation"))

    def step(self, actions: np.ndarray) -> Step:
        """Act in all environments: `actions` [N, *action] as the environment wants them."""
        if self._observations is None:
            raise PlauditError(f"{self.name}: step before reset; call reset(seed) or restore(snapshot) first")
        self._steps += 1
        actions = self._fitting(actions)
        result = self._guarded("step", lambda: self.vector.step(actions))
        successors = self._finite(np.array(result[0]), "observation")
        rewards = self._finite(np.array(result[1], dtype=np.float64), "reward")
        terminated, truncated = np.array(result[2], dtype=bool), np.array(result[3], dtype=bool)
        ended = terminated | truncated
        dead, self.pending = self.pending, ended if self.mode == AutoresetMode.NEXT_STEP else self.pending
        observations, begun, infos = successors, dead, result[4]
        if self.mode != AutoresetMode.NEXT_STEP and ended.any():
            apart, begun = self._apart(successors, ended, infos), ended
            observations, successors, infos = apart.observations, apart.successors, apart.infos
        self.legal = self._legal(infos)
        alive = ~dead
        if dead.any():
            rewards, terminated, truncated = rewards * alive, terminated & alive, truncated & alive
        self._observations = observations
        self.recorder.record(actions, ended & alive, begun)
        return Step(observations, successors, rewards, terminated, truncated, alive)

    def snapshot(self) -> dict[str, Any]:
        """Where everything is, as arrays, whole numbers, texts and lists of texts."""
        if self._observations is None:
            raise PlauditError(f"{self.name}: snapshot before reset; call reset(seed) first")
        return {
            "name": self.name,
            "resume": self.resume,
            "memory": type(self.memory).__name__,
            "seed": self._seed,
            "steps": self._steps,
            "pending": self.pending.copy(),
            "observations": self._observations.copy(),
            **({} if self.legal is None else {"legal": self.legal.copy()}),
        } | self.memory.snapshot()

    def restore(self, saved: dict[str, Any]) -> np.ndarray:
        """Come back to a snapshot: the observations [N, *obs] to act on.

        Bit for bit where `resume` is "exact" (PlauditError where the environment turns out to hide
        something); otherwise fresh episodes, with seeds drawn from the first seed and the number of steps.
        """
        observations = np.asarray(saved["observations"], dtype=self.observation_space.dtype)
        if (str(saved["name"]), len(observations), str(saved["memory"])) != (
            self.name,
            self.num_envs,
            type(self.memory).__name__,
        ):
            raise PlauditError(
                f"a snapshot of {len(observations)} x {saved['name']} ({saved['resume']}) cannot be restored "
                f"into {self.num_envs} x {self.name} ({self.resume}); keep the environment as it was"
            )
        pending = np.asarray(saved["pending"], dtype=bool)
        restored = self._guarded("restore", lambda: self.memory.restore(saved, pending))
        self._seed, self._steps = int(saved["seed"]), int(saved["steps"])
        if restored is None:
            steps, seed = self._steps, self._seed
            fresh = self.reset(int(np.random.SeedSequence([seed, steps]).generate_state(1)[0] % 2**31))
            self._seed, self._steps = seed, steps
            return fresh
        self.pending = pending.copy()
        self.legal = np.asarray(saved["legal"], dtype=bool) if "legal" in saved else None
        for row in range(self.num_envs):
            if not np.array_equal(restored[row], observations[row]):
                raise PlauditError(
                    f"{self.name}: environment {row} did not come back to where it was when replayed (it has "
                    "randomness or memory of its own); set `resume: statistical` for fresh episodes"
                )
        return self._begin(np.array(restored))

    def close(self) -> None:
        """Free the environments."""
        self.vector.close()

    def _begin(self, observations: np.ndarray) -> np.ndarray:
        self._observations = observations
        self.recorder.stop(self.pending)
        return observations

    def _apart(self, reached: np.ndarray, ended: np.ndarray, infos: dict[str, Any]) -> "_Apart":
        """What is acted on and what was reached, where episodes ended and are reset at once."""
        if self.mode == AutoresetMode.DISABLED:
            fresh, begun = self._guarded(
                "reset", lambda: self.vector.reset(options={"reset_mask": ended.copy()})
            )
            observations = reached.copy()
            observations[ended] = self._finite(np.asarray(fresh), "observation")[ended]
            return _Apart(observations, reached, merged(infos, begun, ended))
        final = infos.get("final_obs")
        known = infos.get("_final_obs", ended)
        if final is None or not known[ended].all():
            raise PlauditError(
                f"{self.name}: an episode ended at step {self._steps} without its final observation in "
                "infos['final_obs']; same-step autoreset must give it"
            )
        successors = reached.copy()
        successors[ended] = np.stack([final[row] for row in np.flatnonzero(ended)])
        return _Apart(reached, self._finite(successors, "observation"), infos)

    def _legal(self, infos: dict[str, Any]) -> np.ndarray | None:
        return legal(infos, ~self.pending, self.action_space, f"{self.name}, step {self._steps}")

    def _fitting(self, actions: np.ndarray) -> np.ndarray:
        """A copy of the actions in the space's own type, so that a replay is given the very same numbers."""
        actions = np.asarray(actions)
        wanted, kind = (self.num_envs, *(self.action_space.shape or ())), self.action_space.dtype
        if actions.shape != wanted or (actions.dtype.kind == "f" and not np.issubdtype(kind, np.floating)):
            raise PlauditError(
                f"{self.name}: actions {actions.shape} of type {actions.dtype} were given where {wanted} "
                f"and {kind} are wanted; convert them with actions.to_environment"
            )
        return self._finite(actions.astype(kind), "action")

    def _finite(self, values: np.ndarray, what: str) -> np.ndarray:
        """`values` [N, ...] if all are finite."""
        if not np.issubdtype(values.dtype, np.floating) or np.isfinite(values).all():
            return values
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        blame = "was given" if what == "action" else "returned"
        mend = (
            "the policy has diverged: lower its learning rate" if what == "action" else "mend the environment"
        )
        raise PlauditError(
            f"{self.name}: environment {row} {blame} a non-finite {what} at step {self._steps}; {mend}"
        )

    def _guarded(self, doing: str, call: Callable[[], Any]) -> Any:
        """The result of a call into the environments; what they raise is told with its place."""
        try:
            return call()
        except PlauditError:
            raise
        except Exception as error:
            row = _culprit(self.vector)
            which = "" if row is None else f"environment {row} "
            raise PlauditError(
                f"{self.name}: {which}failed in {doing} at step {self._steps}: "
                f"{type(error).__name__}: {' '.join(str(error).split())}; mend the environment or its config"
            ) from error


def _memory(vector: VectorEnv, name: str) -> Memory:
    if type(vector) is SyncVectorEnv:  # a subclass may do other things between the steps
        return ReplayMemory(vector)
    return StateMemory(vector) if isinstance(vector, ClassicVectorEnv) else NoMemory(name)


def _mode(vector: VectorEnv, name: str) -> AutoresetMode:
    try:
        return AutoresetMode((vector.metadata or {})["autoreset_mode"])
    except (KeyError, ValueError):
        raise PlauditError(
            f"{name}: the vector environment does not say how it resets; set metadata['autoreset_mode'] to a "
            "gymnasium.vector.AutoresetMode"
        ) from None


def _spec(vector: VectorEnv) -> Any:
    rows = getattr(vector.unwrapped, "envs", None)
    return rows[0].spec if rows else vector.spec


def _name(vector: VectorEnv) -> str:
    spec = _spec(vector)
    if spec is not None:
        return spec.id
    rows = getattr(vector.unwrapped, "envs", None)
    return type(rows[0].unwrapped if rows else vector.unwrapped).__name__


def _horizon(vector: VectorEnv) -> int | None:
    spec = _spec(vector)
    return spec.max_episode_steps if spec is not None else getattr(vector, "horizon", None)


def _culprit(vector: VectorEnv) -> int | None:
    """The environment that raised: marked by `Replayable`, or by AsyncVectorEnv, which drops its pipe."""
    rows = getattr(vector.unwrapped, "envs", None) or []
    marks = [getattr(row, "failed", False) for row in rows]
    marks = marks or [pipe is None for pipe in getattr(vector.unwrapped, "parent_pipes", [])]
    return marks.index(True) if True in marks else None
