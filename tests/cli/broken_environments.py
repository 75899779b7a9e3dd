"""Tiny environments with a fault, registered by importing this module (tests.cli.broken_environments:Name-v0)."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Faulty(gymnasium.Env):
    """Episodes of 20 steps; the fault comes in the 50th step that this environment takes."""

    def __init__(self, fault: str = "none", dimensions: int = 2):
        self.observation_space = Box(-np.inf, np.inf, (dimensions,), np.float32)
        self.action_space = Discrete(2)
        self.fault, self.taken, self.steps = fault, 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        if self.fault == "reset" and self.taken >= 40:
            raise OSError("the game has crashed")
        return np.zeros(self.observation_space.shape, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps, self.taken = self.steps + 1, self.taken + 1
        observation = self.np_random.normal(size=self.observation_space.shape).astype(np.float32)
        reward = float(action)
        if self.taken == 50:
            if self.fault == "raise":
                raise ValueError("the wheel came off")
            if self.fault == "reward":
                reward = float("nan")
            if self.fault == "observation":
                observation[1] = np.nan
        return observation, reward, self.steps == 20, False, {}


for name in ("none", "raise", "reward", "observation", "reset"):
    gymnasium.register(f"{name.title()}-v0", entry_point=Faulty, kwargs={"fault": name})
gymnasium.register("Wide-v0", entry_point=Faulty, kwargs={"dimensions": 3})
