"""Agents by name."""

from plaudit.faces.agent import Evaluation, PPOAgent

__all__ = ["Evaluation", "PPOAgent"]
