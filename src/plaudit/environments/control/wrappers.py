"""Wrappers of one environment: a memory of how it came where it is, and a fixed horizon."""

from typing import Any, SupportsFloat

import gymnasium
import numpy as np

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

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
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

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
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
