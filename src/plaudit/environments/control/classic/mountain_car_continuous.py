"""MountainCarContinuous-v0, as gymnasium.envs.classic_control.continuous_mountain_car computes it.

Gymnasium keeps this state as float32 from the first step on, so all but that step is in float32.
"""

import numpy as np
from gymnasium.spaces import Box

from plaudit.environments.control.classic.vectorised import Advanced, Physics

LEFT, RIGHT, MAX_SPEED, GOAL, POWER, GRAVITY = -1.2, 0.6, 0.07, 0.45, 0.0015, 0.0025


def physics(goal_velocity: float | int = 0) -> Physics:
    """States (position, speed); reward 100 at the goal, minus a tenth of the squared force."""

    def advance(states: np.ndarray, actions: np.ndarray, first: np.ndarray) -> Advanced:
        force = actions[:, 0]
        following, arrived = _moved(states.astype(np.float32), force, goal_velocity)
        if first.any():  # states just drawn are float64
            following[first], arrived[first] = _moved(states[first], force[first], goal_velocity)
        rewards = np.where(arrived, 100.0, 0.0) - np.float_power(force, 2) * 0.1
        return following.astype(np.float64), rewards, arrived

    return Physics(
        id="MountainCarContinuous-v0",
        horizon=999,
        observation_space=Box(
            np.array([LEFT, -MAX_SPEED], dtype=np.float32), np.array([RIGHT, MAX_SPEED], dtype=np.float32)
        ),
        action_space=Box(-1.0, 1.0, (1,), np.float32),
        draw=lambda generator: np.array([generator.uniform(low=-0.6, high=-0.4), 0.0]),
        advance=advance,
        observe=lambda states: states.astype(np.float32),
        single_precision=True,
    )


def _moved(
    states: np.ndarray, force: np.ndarray, goal_velocity: float | int
) -> tuple[np.ndarray, np.ndarray]:
    """Next states [N, 2] in the precision of `states`, and whether the goal is reached."""
    position, speed = np.ascontiguousarray(states.T)
    slope = GRAVITY * np.cos((3 * position).astype(np.float64))
    # A force out of bounds becomes a Python float, and then the sum is taken in float64 before it is rounded
    within = (force * np.float32(POWER) - slope.astype(np.float32)).astype(np.float64)
    clipped = np.clip(force.astype(np.float64), -1.0, 1.0) * POWER - slope
    outside = (force < -1.0) | (force > 1.0)
    speed = speed + np.where(outside, clipped, within).astype(speed.dtype)
    top, left, right = (np.asarray(limit, dtype=speed.dtype) for limit in (MAX_SPEED, LEFT, RIGHT))
    speed = np.clip(speed, -top, top)
    position = np.clip(position + speed, left, right)
    speed = np.where((position == left) & (speed < 0), np.zeros_like(speed), speed)
    arrived = (position >= np.asarray(GOAL, dtype=speed.dtype)) & (
        speed >= np.asarray(goal_velocity, speed.dtype)
    )
    return np.stack([position, speed], axis=1).astype(np.float32), arrived
