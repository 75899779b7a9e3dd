"""The true rewards of segments, by which simulated people judge."""

import numpy as np


class GoldReward:
    """The true rewards of segments; remembers which were asked for."""

    def __init__(self, count: int, seed: int = 0):
        rewards = np.random.default_rng(seed).normal(-3, 1, (count, 4)).astype(np.float32)
        self.rewards = {f"segment-{i}": row for i, row in enumerate(rewards)}
        self.loaded: list[str] = []

    def __call__(self, item: str) -> np.ndarray:
        self.loaded.append(item)
        return self.rewards[item]


class Interrupted:
    """Breaks off when so many segments have been loaded."""

    def __init__(self, hidden: GoldReward, after: int):
        self.hidden, self.left = hidden, after

    def __call__(self, item: str) -> np.ndarray:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.hidden(item)
