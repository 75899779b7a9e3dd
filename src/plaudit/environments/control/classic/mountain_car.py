"""MountainCar-v0 (Moore 1990), as gymnasium.envs.classic_control.mountain_car computes it."""

import numpy as np
from gymnasium.spaces import Box, Discrete

from plaudit.environments.control.classic.vectorised import Advanced, Physics

LEFT, RIGHT, MAX_SPEED, GOAL, FORCE, GRAVITY = -1.2, 0.6, 0.07, 0.5, 0.001, 0.0025


def physics(goal_velocity: float | int = 0) -> Physics:
    """States (position, speed); reward -1 a step until the goal."""

    def advance(states: np.ndarray, actions: np.ndarray, first: np.ndarray) -> Advanced:
        position, speed = np.ascontiguousarray(states.T)
        speed = speed + ((actions - 1) * FORCE + np.cos(3 * position) * (-GRAVITY))
        speed = np.clip(speed, -MAX_SPEED, MAX_SPEED)
        position = np.clip(position + speed, LEFT, RIGHT)
        speed = np.where((position == LEFT) & (speed < 0), 0.0, speed)
        arrived = (position >= GOAL) & (speed >= goal_velocity)
        return np.stack([position, speed], axis=1), np.full(len(states), -1.0), arrived

    return Physics(
        id="MountainCar-v0",
        horizon=200,
        observation_space=Box(
            np.array([LEFT, -MAX_SPEED], dtype=np.float32), np.array([RIGHT, MAX_SPEED], dtype=np.float32)
        ),
        action_space=Discrete(3),
        draw=lambda generator: np.array([generator.uniform(low=-0.6, high=-0.4), 0.0]),
        advance=advance,
        observe=lambda states: states.astype(np.float32),
    )
