"""Environments by name, and rewards learned from people as wrappers of environments."""

from plaudit.faces.environments import GymEnv

__all__ = ["GymEnv"]
