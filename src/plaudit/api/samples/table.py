"""An environment of your own: a puck is pushed about a table, and should stay near the middle of its right half.

plaudit run --env ./table.py:Table --labels 200
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

PUSHES = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=np.float64)
GOAL = np.array([0.6, 0.0])


class Table(gymnasium.Env):
    """The puck slides on for a while, and an episode ends where it falls off an edge."""

    observation_space = Box(-2.0, 2.0, (4,), np.float32)
    action_space = Discrete(len(PUSHES))

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin in the middle."""
        super().reset(seed=seed)
        self.place, self.speed = self.np_random.uniform(-0.1, 0.1, 2), np.zeros(2)
        return self._seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Push; the nearer to the goal the better."""
        self.speed = 0.8 * self.speed + 0.03 * PUSHES[action] + self.np_random.normal(0, 0.005, 2)
        self.place = self.place + self.speed
        reward = 1.0 - float(np.linalg.norm(self.place - GOAL))
        return self._seen(), reward, bool(np.abs(self.place).max() > 1), False, {}

    def _seen(self) -> np.ndarray:
        return np.concatenate([self.place, 10 * self.speed]).astype(np.float32)
