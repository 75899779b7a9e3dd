"""An environment that counts: its observation says exactly which decision of which episode comes next."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

KINDS = ("terminated", "truncated", "both")


class Counting(gymnasium.Env):
    """Observation (steps so far, length of the episode, how it ends, a draw); reward 10 * steps + action.

    Lengths and endings are drawn at the reset; `broken_at` (first seed, step) breaks one environment.
    """

    def __init__(self, longest=6, broken_at=None, fault="raise", memory=False, render_mode=None):
        self.observation_space = Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = Discrete(3)
        self.longest, self.broken_at, self.fault, self.memory = longest, broken_at, fault, memory
        self.render_mode = render_mode
        self.episodes = 0
        self.first_seed = None
        self.buffer = np.zeros(4, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.first_seed = seed if self.first_seed is None else self.first_seed
        self.episodes += 1
        length = int(self.np_random.integers(1, self.longest + 1))
        tag = self.episodes if self.memory else float(np.float32(self.np_random.random()))
        self.buffer[:] = 0, length, self.np_random.integers(3), tag
        return self.buffer, {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.buffer[0] += 1  # one buffer, used again: whoever keeps an observation must copy it
        steps, length, kind, _ = self.buffer
        over = steps >= length
        how = KINDS[int(kind)]
        reward = 10.0 * float(steps) + float(action)
        if self.broken_at == (self.first_seed, int(steps)):
            if self.fault == "raise":
                raise ZeroDivisionError("the wheel came off")
            if self.fault == "reward":
                reward = float("nan")
            else:
                self.buffer[2] = np.inf
        return self.buffer, reward, bool(over and how != "truncated"), bool(over and how != "terminated"), {}


def policy(observations):
    """An action that depends on the observation alone, so that dead steps change nothing."""
    return (observations[:, 0] * 7 + np.floor(observations[:, 3] * 1000)).astype(np.int64) % 3


def oracle(seed, decisions, **kwargs):
    """The first decisions of one environment by a loop: (observation, action, reward, successor, ends)."""
    env = Counting(**kwargs)
    observation = env.reset(seed=seed)[0].copy()
    rows = []
    for _ in range(decisions):
        action = policy(observation[None])[0]
        following, reward, terminated, truncated, _ = env.step(action)
        following = following.copy()
        rows.append((observation, action, reward, following, terminated, truncated))
        observation = env.reset()[0].copy() if terminated or truncated else following
    return rows
