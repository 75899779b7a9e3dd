"""PPO on a policy that exists already."""

from plaudit.api.finetuning import PPO

__all__ = ["PPO"]
