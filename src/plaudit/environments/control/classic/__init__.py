"""Gymnasium's classic control problems, for many environments at once in NumPy."""

from collections.abc import Callable

from plaudit.environments.control.classic import (
    acrobot,
    cartpole,
    mountain_car,
    mountain_car_continuous,
    pendulum,
)
from plaudit.environments.control.classic.vectorised import ClassicVectorEnv, Physics, place

PHYSICS: dict[str, Callable[..., Physics]] = {
    "CartPole-v1": cartpole.physics,
    "Pendulum-v1": pendulum.physics,
    "Acrobot-v1": acrobot.physics,
    "MountainCar-v0": mountain_car.physics,
    "MountainCarContinuous-v0": mountain_car_continuous.physics,
}
"""Those we have, by Gymnasium's id; called with the environment's keyword arguments."""

__all__ = ["PHYSICS", "ClassicVectorEnv", "Physics", "place"]
