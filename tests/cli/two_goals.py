"""An environment that is registered nowhere: a point on a table with two goals, of which the judge wants one."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

DIRECTIONS = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=np.float64)
GOALS = np.array([[0.6, 0.0], [-0.6, 0.0]])
"""The first pays, the second does not."""


class Table(gymnasium.Env):
    """It is pushed, slides on for a while, and falls off the edges, which ends the episode; nothing else does."""

    def __init__(self, wanted: int = 0):
        self.observation_space = Box(-2.0, 2.0, (4,), np.float32)
        self.action_space = Discrete(len(DIRECTIONS))
        self.goal = GOALS[wanted]
        self.place, self.speed = np.zeros(2), np.zeros(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.speed = self.np_random.uniform(-0.1, 0.1, 2), np.zeros(2)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.speed = 0.8 * self.speed + 0.03 * DIRECTIONS[int(action)] + self.np_random.normal(0, 0.005, 2)
        self.place = self.place + self.speed
        there = float(np.linalg.norm(self.place - self.goal) < 0.25)
        return self._seen(), there, bool(np.abs(self.place).max() > 1), False, {}

    def _seen(self) -> np.ndarray:
        return np.concatenate([self.place, 10 * self.speed]).astype(np.float32)


def turned() -> gymnasium.Env:
    """The same with the other goal wanted, made by a function."""
    return Table(wanted=1)
