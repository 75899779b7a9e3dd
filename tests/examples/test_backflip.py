"""The judge of back-flips, and how they are counted, against turning by hand."""

import math

import gymnasium
import numpy as np
import pytest

from benchmarks.backflip import turned, turned_in_the_air
from examples.backflip import ANGLE, HEIGHT, judge


def states(heights: list[float], angles: list[float]) -> np.ndarray:
    found = np.full((1, len(heights), 11), 7.0, np.float32)  # what else is observed does not matter
    found[0, :, HEIGHT], found[0, :, ANGLE] = heights, angles
    return found


def test_the_judge_by_hand() -> None:
    """Backwards at 1 m: +0.5; forwards at 0.5 m: -0.4 * 0.5; below the ground nothing counts."""
    walk = states([1.2, 1.0, 0.5, -0.1], [0.0, -0.5, -0.1, -3.0])
    found = judge(walk[:, :-1], np.zeros((1, 3, 3)), walk[:, 1:])
    assert found.shape == (1, 3) and found[0].tolist() == pytest.approx([0.5, -0.2, 0.0], abs=1e-6)


def test_turning_goes_on_past_half_a_turn() -> None:
    angles = np.linspace(0, -4 * math.pi, 50)
    walk = states([1.0] * 50, angles.tolist())
    assert float(judge(walk[:, :-1], np.zeros((1, 49, 3)), walk[:, 1:]).sum()) == pytest.approx(
        4 * math.pi, rel=1e-4
    )
    assert turned(angles) == pytest.approx(2.0)


def test_the_furthest_counts_and_forwards_is_none() -> None:
    assert turned(np.array([0.1, -math.pi + 0.1, 2.0])) == pytest.approx(0.5)
    assert turned(np.array([0.0, 1.0, 2.0])) == 0.0


def test_turning_in_the_air_begins_anew_at_every_touch() -> None:
    angles = np.array([0.0, -1.0, -2.0, -4.0, -7.0, -7.5])
    touching = np.array([False, True, False, False, True, False])
    # 0; from -1 to -4; from -7 to -7.5
    assert turned_in_the_air(angles, touching) == pytest.approx(3.0 / (2 * math.pi))
    assert turned_in_the_air(angles, np.zeros(6, bool)) == turned(angles)


def test_the_angle_falls_as_the_head_goes_backwards() -> None:
    """Hopper walks to the right: with the angle of the torso a little below zero its head is to the left."""
    pytest.importorskip("mujoco")
    env = gymnasium.make("Hopper-v5").unwrapped
    env.reset(seed=0)
    position = env.init_qpos.copy()
    position[2] = -0.3
    env.set_state(position, env.init_qvel)
    observation = env._get_obs()
    torso = env.data.body("torso").xmat.reshape(3, 3)
    head = torso @ np.array([0.0, 0.0, 1.0])
    assert observation[ANGLE] == pytest.approx(-0.3) and observation[HEIGHT] == pytest.approx(position[1])
    assert head[0] == pytest.approx(-math.sin(0.3)) and head[0] < 0
    env.close()
