"""A judge of back-flips for Hopper, in place of people: of two clips, that is better which sums up to more of one."""

import numpy as np

HEIGHT, ANGLE = 0, 1
"""Where Hopper-v5's observation has the torso's height above the ground, in metres, and how far it has turned."""


def judge(observations: np.ndarray, actions: np.ndarray, next_observations: np.ndarray) -> np.ndarray:
    """How far the torso turns backwards, counted in proportion to its height: turning in the air is worth most.

    The angle grows as the robot falls on its face, and goes on counting past half a turn.
    """
    turned = observations[..., ANGLE] - next_observations[..., ANGLE]
    return turned * np.clip(next_observations[..., HEIGHT], 0.0, None)
