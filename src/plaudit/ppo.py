"""PPO on a policy that exists already."""

from plaudit.faces.finetuning import PPO

__all__ = ["PPO"]
