"""Agents by name."""

from plaudit.environments.control.collect import environment_reward
from plaudit.faces.agent import Evaluation, PPOAgent

__all__ = ["Evaluation", "PPOAgent", "environment_reward"]
