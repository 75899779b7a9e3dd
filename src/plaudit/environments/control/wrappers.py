"""Wrappers of one environment: a memory of how it came where it is, and a fixed horizon."""

from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from numpy.typing import ArrayLike

from plaudit.errors import PlauditError

Start = dict[str, Any]
"""How an episode began: {"seed": s}, or {"generator": state of the bit generator just before the reset}."""


class Replayable(gymnasium.Wrapper):
    """Remembers the random state before its last reset and the actions since: enough to come back here.

    Copying physics instead is not exact (contact caches, warm starts); doing the same again is. Only the
    environment's own generator (`unwrapped.np_random`) is remembered: an environment with other hidden
    randomness does not come back, which `Source.restore` notices. Box2D environments begin every
    episode in a new world: the old one, which BipedalWalker and CarRacing keep, remembers earlier episodes in
    its broad phase.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.start: Start = {}
        self.actions: list[np.ndarray] = []
        self.failed = False
        """The last call raised an exception: which of many environments it was."""
        self._reset_instead = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Remember the random state, forget the actions, reset."""
        self._reset_instead = False
        self.start = {"generator": self._bits().state} if seed is None else {"seed": int(seed)}
        self.actions = []  # a new list: whoever holds the old one keeps the old episode
        self.failed = True
        _renew_world(self.unwrapped)
        result = self.env.reset(seed=seed, options=options)
        self.failed = False
        return result

    def step(self, action: ArrayLike) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Remember the action, step."""
        if self._reset_instead:
            observation, info = self.reset()
            return observation, 0.0, False, False, info
        self.actions.append(np.array(action))
        self.failed = True
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.failed = False
        if terminated or truncated:  # an environment may reuse its buffer in the reset that follows
            observation = np.array(observation)
        return observation, reward, bool(terminated), bool(truncated), info

    def come_back(self, start: Start, actions: np.ndarray, reset_next: bool = False) -> Any:
        """Begin the episode again, take the same actions, and return the last observation.

        With `reset_next` the episode is over and the next `step` is the dead one of next-step autoreset.
        """
        if "seed" in start:
            observation, _ = self.reset(seed=start["seed"])
        else:
            self._set_bits(start["generator"])
            observation, _ = self.reset()
        for action in actions:
            observation, *_ = self.step(action)
        self._reset_instead = reset_next
        return observation

    def _bits(self) -> Any:
        return self.unwrapped.np_random.bit_generator

    def _set_bits(self, state: dict[str, Any]) -> None:
        if self._bits().state["bit_generator"] != state["bit_generator"]:
            self.unwrapped.np_random = np.random.Generator(getattr(np.random, state["bit_generator"])())
        self._bits().state = state


class FixedHorizon(gymnasium.Wrapper):
    """Every episode lasts exactly `horizon` steps: after its end the last observation stays, with reward 0.

    With early termination the length of an episode tells the true reward, and a reward learned from people
    looks better than it is (Christiano et al. 2017, arXiv:1706.03741, appendix A, removed it). Wrap the whole
    environment, its own time limit included: no truncation comes before `horizon`.
    """

    def __init__(self, env: gymnasium.Env, horizon: int):
        super().__init__(env)
        self.horizon = horizon
        self._steps = 0
        self._absorbed: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        self._steps, self._absorbed = 0, None
        return self.env.reset(seed=seed, options=options)

    def step(self, action: ArrayLike) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step, or stay where the episode was over; truncated at the horizon, never terminated."""
        self._steps += 1
        over = self._steps >= self.horizon
        if self._absorbed is not None:
            return self._absorbed.copy(), 0.0, False, over, {}
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            self._absorbed = np.array(observation)
        return observation, reward, False, over, info


def _renew_world(bare: Any) -> None:
    world: Any = getattr(bare, "world", None)
    if type(world).__module__.startswith("Box2D") and hasattr(bare, "_destroy"):
        bare._destroy()
        bare.world = type(world)(gravity=world.gravity)


TOLERANCE = 1e-6
"""How far, relative to the larger bound, a demonstrated action may lie outside: float32 rounding."""


def check_action_space(space: Space, name: str) -> None:
    """Raise PlauditError where `space` is not a Discrete, MultiDiscrete, MultiBinary or float Box."""
    if isinstance(space, Discrete | MultiDiscrete | MultiBinary):
        return
    if isinstance(space, Box) and np.issubdtype(space.dtype, np.floating):
        return
    raise PlauditError(
        f"{name}: actions of the kind {space} are not supported; wrap the environment so that its action "
        "space is Discrete, MultiDiscrete, MultiBinary or a Box of floats"
    )


def to_environment(actions: np.ndarray, space: Space) -> np.ndarray:
    """What the environment is given: indices plus `start`, switches, or numbers clipped to [-1, 1] and rescaled.

    `actions` [..., *shape] (or flat, [..., F]); the result has the space's shape and dtype.
    """
    if isinstance(space, Discrete):
        return _indices(actions, space) + space.start
    if isinstance(space, MultiDiscrete):
        return (_indices(actions, space) + space.start).astype(space.dtype)
    if isinstance(space, MultiBinary):
        return _indices(actions, space).astype(space.dtype)
    box = _box(space)
    actions = _shaped(np.asarray(actions, dtype=np.float64), box)
    low, high, scaled, middle, half = _bounds(box)
    given = np.where(scaled, middle + half * np.clip(actions, -1.0, 1.0), actions)
    return np.clip(given, low, high).astype(box.dtype)


def from_environment(actions: np.ndarray, space: Space) -> np.ndarray:
    """The inverse, for demonstrations: int64 indices, or float32 numbers of the policy's space.

    Raises PlauditError for an action outside the space (by more than rounding).
    """
    if isinstance(space, Discrete | MultiDiscrete | MultiBinary):
        indices = _indices(actions, space) - getattr(space, "start", 0)
        count = space.n if isinstance(space, Discrete) else getattr(space, "nvec", 2)
        _reject((indices < 0) | (indices >= count), actions, space)
        several = () if isinstance(space, Discrete) else (-1,)  # as the heads of a policy stand side by side
        return indices.astype(np.int64).reshape(
            *indices.shape[: indices.ndim - len(space.shape or ())], *several
        )
    box = _box(space)
    actions = _shaped(np.asarray(actions, dtype=np.float64), box)
    low, high, scaled, middle, half = _bounds(box)
    largest = np.maximum(
        np.where(np.isfinite(low), np.abs(low), 0), np.where(np.isfinite(high), np.abs(high), 0)
    )
    slack = TOLERANCE * largest
    with np.errstate(over="ignore"):
        outside = ~np.isfinite(actions) | (actions < low - slack) | (actions > high + slack)
    _reject(outside, actions, space)
    width = np.where(half > 0, half, 1.0)  # equal bounds: one action, called 0
    return np.where(
        scaled, np.clip((actions - middle) / width, -1.0, 1.0), np.clip(actions, low, high)
    ).astype(np.float32)


def clipped(space: Space) -> np.ndarray | None:
    """[F] bool: which numbers of an action are clipped at -1 and 1; None for indices."""
    return _bounds(_box(space))[2].reshape(-1) if isinstance(space, Box) else None


def _box(space: Space) -> Box:
    check_action_space(space, "the action space")
    assert isinstance(space, Box)
    return space


def _bounds(box: Box) -> tuple[np.ndarray, ...]:
    """low, high, where both are finite, and there the middle and half the width (elsewhere 0), in float64."""
    low, high = box.low.astype(np.float64), box.high.astype(np.float64)
    scaled = np.isfinite(low) & np.isfinite(high)
    finite_low, finite_high = np.where(scaled, low, 0.0), np.where(scaled, high, 0.0)
    # halved before they are added: bounds of the largest floats do not overflow
    return low, high, scaled, finite_high / 2 + finite_low / 2, finite_high / 2 - finite_low / 2


def _shaped(actions: np.ndarray, space: Space) -> np.ndarray:
    """[..., F] or [..., *shape] as [..., *shape]."""
    shape = space.shape or ()
    if not shape or actions.shape[-len(shape) :] == shape:
        return actions
    if actions.ndim and actions.shape[-1] == int(np.prod(shape)):
        return actions.reshape(*actions.shape[:-1], *shape)
    raise PlauditError(
        f"actions of shape {actions.shape} do not fit the action space {space}; its shape is {shape}"
    )


def _indices(actions: np.ndarray, space: Space) -> np.ndarray:
    actions = np.asarray(actions)
    if not np.issubdtype(actions.dtype, np.integer):
        raise PlauditError(
            f"actions for {space} are indices, but their type is {actions.dtype}; give whole numbers"
        )
    return _shaped(actions.astype(np.int64), space)


def _reject(outside: np.ndarray, actions: np.ndarray, space: Space) -> None:
    if outside.any():
        place = tuple(int(i) for i in np.argwhere(outside)[0])
        value = np.asarray(actions).reshape(outside.shape)[place]
        raise PlauditError(
            f"action {list(place)} is {value}, outside the action space {space}; mend or drop it"
        )
