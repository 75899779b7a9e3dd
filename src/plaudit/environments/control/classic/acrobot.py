"""Acrobot-v1 (Sutton 1996; the book's equations), as gymnasium.envs.classic_control.acrobot computes it."""

from math import pi

import numpy as np
from gymnasium.spaces import Box, Discrete

from plaudit.environments.control.classic.vectorised import Advanced, Physics

SECONDS = 0.2
L1 = M1 = M2 = INERTIA = 1.0
C1 = C2 = 0.5
"""Lengths [m], masses [kg], moments of inertia and positions of the centres of mass of the two links."""
G = 9.8
SPEED_1, SPEED_2 = 4 * pi, 9 * pi
TORQUES = np.array([-1.0, 0.0, 1.0])


def physics() -> Physics:
    """States (two angles, 0 hanging down; their speeds); reward -1 until the tip is one link up."""
    high = np.array([1.0, 1.0, 1.0, 1.0, SPEED_1, SPEED_2], dtype=np.float32)
    return Physics(
        id="Acrobot-v1",
        horizon=500,
        observation_space=Box(-high, high, dtype=np.float32),
        action_space=Discrete(3),
        draw=lambda generator: generator.uniform(low=-0.1, high=0.1, size=(4,)).astype(np.float32),
        advance=_advance,
        observe=_observe,
        observe_first=lambda states: _observe(
            states.astype(np.float32)
        ),  # Gymnasium draws the state as float32
    )


def _advance(states: np.ndarray, actions: np.ndarray, first: np.ndarray) -> Advanced:
    torque = TORQUES[actions]
    y = np.ascontiguousarray(states.T)
    # fourth-order Runge-Kutta
    k1 = _derivative(y, torque)
    k2 = _derivative(y + SECONDS / 2.0 * k1, torque)
    k3 = _derivative(y + SECONDS / 2.0 * k2, torque)
    k4 = _derivative(y + SECONDS * k3, torque)
    y = y + SECONDS / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)
    first_angle, second_angle = _wrapped(y[0]), _wrapped(y[1])
    speeds = np.clip(y[2], -SPEED_1, SPEED_1), np.clip(y[3], -SPEED_2, SPEED_2)
    reached = -np.cos(first_angle) - np.cos(second_angle + first_angle) > 1.0
    return np.stack([first_angle, second_angle, *speeds], axis=1), np.where(reached, 0.0, -1.0), reached


def _derivative(y: np.ndarray, torque: np.ndarray) -> np.ndarray:
    """[4, N] from [4, N]. float_power, because a NumPy scalar's x**2 calls pow, which is not always x * x."""
    angle1, angle2, speed1, speed2 = y
    cos2, sin2 = np.cos(angle2), np.sin(angle2)
    d1 = M1 * C1**2 + M2 * (L1**2 + C2**2 + 2 * L1 * C2 * cos2) + INERTIA + INERTIA
    d2 = M2 * (C2**2 + L1 * C2 * cos2) + INERTIA
    phi2 = M2 * C2 * G * np.cos(angle1 + angle2 - pi / 2.0)
    phi1 = (
        -M2 * L1 * C2 * np.float_power(speed2, 2) * sin2
        - 2 * M2 * L1 * C2 * speed2 * speed1 * sin2
        + (M1 * C1 + M2 * L1) * G * np.cos(angle1 - pi / 2)
        + phi2
    )
    gain2 = (torque + d2 / d1 * phi1 - M2 * L1 * C2 * np.float_power(speed1, 2) * sin2 - phi2) / (
        M2 * C2**2 + INERTIA - np.float_power(d2, 2) / d1
    )
    return np.stack([speed1, speed2, -(d2 * gain2 + phi1) / d1, gain2])


def _wrapped(angles: np.ndarray) -> np.ndarray:
    """Into [-pi, pi] by whole turns, one at a time as Gymnasium does (a remainder rounds differently)."""
    while (over := angles > pi).any():
        angles = np.where(over, angles - 2 * pi, angles)
    while (under := angles < -pi).any():
        angles = np.where(under, angles + 2 * pi, angles)
    return angles


def _observe(states: np.ndarray) -> np.ndarray:
    angle1, angle2, speed1, speed2 = np.ascontiguousarray(states.T)
    parts = [np.cos(angle1), np.sin(angle1), np.cos(angle2), np.sin(angle2), speed1, speed2]
    return np.stack(parts, axis=1).astype(np.float32)
