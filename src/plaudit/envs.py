"""Environments by name, and rewards learned from people in place of an environment's own."""

from plaudit.api.environments import GymEnv, RewardWrapper, sb3_reward_wrapper

__all__ = ["GymEnv", "RewardWrapper", "sb3_reward_wrapper"]
