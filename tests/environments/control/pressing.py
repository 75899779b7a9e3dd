"""Environments that show a pattern of buttons to press, in any kind of observation and action; and with masks."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple

PATTERNS = 4
SHOWN: dict[str, Space] = {
    "discrete": Discrete(PATTERNS, start=3),
    "multi_discrete": MultiDiscrete([2, 2]),
    "multi_binary": MultiBinary(PATTERNS),
    "dict": Dict({"b": Discrete(PATTERNS), "a": Box(-1, 1, (2, 2), np.float32)}),
    "tuple": Tuple((MultiBinary(PATTERNS), Dict({"x": Box(0, 255, (3,), np.uint8)}))),
    "pixels": Box(0, 3, (2, 2), np.uint8),
}
PRESSED: dict[str, Space] = {
    "discrete": Discrete(PATTERNS, start=2),
    "multi_discrete": MultiDiscrete([2, 3]),
    "multi_binary": MultiBinary((2, 2)),
    "box": Box(-3.0, 1.0, (1,), np.float32),
}


def shown(kind: str, pattern: int) -> Any:
    """The observation that shows a pattern."""
    one_hot = np.eye(PATTERNS, dtype=np.int8)[pattern]
    return {
        "discrete": np.int64(pattern + 3),
        "multi_discrete": np.array(divmod(pattern, 2)),
        "multi_binary": one_hot,
        "dict": {"b": np.int64(pattern), "a": np.full((2, 2), 0.5, np.float32)},
        "tuple": (one_hot, {"x": np.array([7, 0, pattern], np.uint8)}),
        "pixels": (3 * one_hot).astype(np.uint8).reshape(2, 2),
    }[kind]


def paid(kind: str, pattern: int, action: Any) -> float:
    """The share of the buttons that are right."""
    if kind == "discrete":
        return float(action - 2 == pattern)
    if kind == "multi_discrete":
        return float(np.mean(action == np.array([pattern // 2, 2 * (pattern % 2)])))
    if kind == "multi_binary":
        wanted = np.array([[pattern % 2, pattern // 2], [1, 1 - pattern % 2]])
        return float(np.mean(action == wanted))
    return 1.0 - abs(float(action[0]) - (pattern - 2.5) / 2)


class Pressing(gymnasium.Env):
    """Eight patterns one after another; the reward says how right the answer was."""

    def __init__(self, see: str = "discrete", press: str = "discrete"):
        self.see, self.press = see, press
        self.observation_space, self.action_space = SHOWN[see], PRESSED[press]

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self._next(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        reward = paid(self.press, self.pattern, action)
        self.steps += 1
        return self._next(), reward, self.steps == 8, False, {}

    def _next(self) -> Any:
        self.pattern = int(self.np_random.integers(PATTERNS))
        seen = shown(self.see, self.pattern)
        assert self.observation_space.contains(seen), seen
        return seen


class Masked(gymnasium.Env):
    """Counts its steps; only some actions are legal, and an illegal one is an error. The best legal one is the last.

    `choices`: one number for Discrete, several for MultiDiscrete, whose masks come flat.
    """

    def __init__(self, choices: tuple[int, ...] = (5,), silent: int = -1, blocked: int = -1):
        self.choices, self.silent, self.blocked = choices, silent, blocked
        self.observation_space = Box(0, 20, (1 + sum(choices),), np.float32)
        self.action_space = Discrete(choices[0], start=1) if len(choices) == 1 else MultiDiscrete(choices)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps, self.length = 0, int(self.np_random.integers(1, 7))
        return self._next()

    def step(self, action: Any) -> Any:
        picked = np.ravel(action) - (1 if len(self.choices) == 1 else 0)
        masks = np.split(self.mask, np.cumsum(self.choices)[:-1])
        assert all(mask[one] for mask, one in zip(masks, picked, strict=True)), (action, self.mask)
        reward = float(sum(one == np.flatnonzero(mask)[-1] for mask, one in zip(masks, picked, strict=True)))
        self.steps += 1
        seen, info = self._next()
        return seen, reward, self.steps == self.length, False, info

    def _next(self) -> Any:
        self.mask = (self.np_random.random(sum(self.choices)) < 0.4).astype(np.int8)
        start = 0
        for count in self.choices:
            self.mask[start + int(self.np_random.integers(count))] = 1
            start += count
        if self.steps == self.blocked:
            self.mask[:] = 0
        seen = np.concatenate([[self.steps], self.mask]).astype(np.float32)
        if self.steps == self.silent:
            self.mask[:] = 1  # it says nothing: everything is legal
            return seen, {}
        return seen, {"action_mask": self.mask.copy()}


def register() -> None:
    """Make both known to Gymnasium by id."""
    here = __name__
    for name, entry in (("Pressing-v0", "Pressing"), ("Masked-v0", "Masked")):
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=f"{here}:{entry}")


register()
