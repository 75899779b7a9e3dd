"""Agents by name."""

from plaudit.api.agent import Evaluation, PPOAgent, environment_reward

__all__ = ["Evaluation", "PPOAgent", "environment_reward"]
