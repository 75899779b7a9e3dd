"""Agents by name."""

from plaudit.api.agent import Evaluation, PPOAgent
from plaudit.environments.control.rollouts import environment_reward

__all__ = ["Evaluation", "PPOAgent", "environment_reward"]
