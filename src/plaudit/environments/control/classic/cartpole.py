"""CartPole-v1 (Barto, Sutton and Anderson 1983), as gymnasium.envs.classic_control.cartpole computes it."""

import math

import numpy as np
from gymnasium.spaces import Box, Discrete

from plaudit.environments.control.classic.vectorised import Advanced, Physics

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
TOTAL = POLE + CART
POLE_MOMENT = POLE * HALF_LENGTH
X_LIMIT, ANGLE_LIMIT = 2.4, 12 * 2 * math.pi / 360


def physics(sutton_barto_reward: bool = False) -> Physics:
    """States (x, x', angle, angle'); reward 1 a step, or (`sutton_barto_reward`) -1 at the fall, 0 before."""
    high = np.array([X_LIMIT * 2, np.inf, ANGLE_LIMIT * 2, np.inf], dtype=np.float32)

    def advance(states: np.ndarray, actions: np.ndarray, first: np.ndarray) -> Advanced:
        x, speed, angle, spin = np.ascontiguousarray(states.T)
        force = np.where(actions == 1, FORCE, -FORCE)
        cos, sin = np.cos(angle), np.sin(angle)
        push = (force + POLE_MOMENT * np.square(spin) * sin) / TOTAL
        turn = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE * np.square(cos) / TOTAL))
        gain = push - POLE_MOMENT * turn * cos / TOTAL
        x, speed = x + SECONDS * speed, speed + SECONDS * gain
        angle, spin = angle + SECONDS * spin, spin + SECONDS * turn
        fallen = (x < -X_LIMIT) | (x > X_LIMIT) | (angle < -ANGLE_LIMIT) | (angle > ANGLE_LIMIT)
        rewards = np.where(fallen, -1.0, 0.0) if sutton_barto_reward else np.ones(len(states))
        return np.stack([x, speed, angle, spin], axis=1), rewards, fallen

    return Physics(
        id="CartPole-v1",
        horizon=500,
        observation_space=Box(-high, high, dtype=np.float32),
        action_space=Discrete(2),
        draw=lambda generator: generator.uniform(low=-0.05, high=0.05, size=(4,)),
        advance=advance,
        observe=lambda states: states.astype(np.float32),
    )
