"""Pendulum-v1, as gymnasium.envs.classic_control.pendulum computes it."""

from itertools import repeat

import numpy as np
from gymnasium.spaces import Box

from plaudit.environments.control.classic.vectorised import Advanced, Physics

MAX_SPEED, MAX_TORQUE, SECONDS, MASS, LENGTH = 8, 2.0, 0.05, 1.0, 1.0


def physics(g: float | int = 10.0) -> Physics:
    """States (angle from upright, angle'); reward: minus the squared angle, speed and torque, weighted."""
    high = np.array([1.0, 1.0, MAX_SPEED], dtype=np.float32)

    def advance(states: np.ndarray, actions: np.ndarray, first: np.ndarray) -> Advanced:
        angle, speed = np.ascontiguousarray(states.T)
        torque = np.clip(actions[:, 0], -MAX_TORQUE, MAX_TORQUE)
        error = ((angle + np.pi) % (2 * np.pi)) - np.pi
        # float_power, because a NumPy scalar's x**2 calls pow, which is not always x * x in the last bit
        costs = np.float_power(error, 2) + 0.1 * np.float_power(speed, 2) + 0.001 * _scalar_squares(torque)
        speed = speed + (3 * g / (2 * LENGTH) * np.sin(angle) + 3.0 / (MASS * LENGTH**2) * torque) * SECONDS
        speed = np.clip(speed, -MAX_SPEED, MAX_SPEED)
        angle = angle + speed * SECONDS
        return np.stack([angle, speed], axis=1), -costs, np.zeros(len(states), dtype=bool)

    def observe(states: np.ndarray) -> np.ndarray:
        angle, speed = np.ascontiguousarray(states.T)
        return np.stack([np.cos(angle), np.sin(angle), speed], axis=1).astype(np.float32)

    bound = np.array([np.pi, 1.0])
    return Physics(
        id="Pendulum-v1",
        horizon=200,
        observation_space=Box(-high, high, dtype=np.float32),
        action_space=Box(-MAX_TORQUE, MAX_TORQUE, (1,), np.float32),
        draw=lambda generator: generator.uniform(low=-bound, high=bound),
        advance=advance,
        observe=observe,
    )


def _scalar_squares(values: np.ndarray) -> np.ndarray:
    """Squares of float32 numbers to the last bit of a scalar's `u**2` (powf): no array function gives it."""
    return np.fromiter(map(pow, values, repeat(2)), dtype=values.dtype, count=len(values))
