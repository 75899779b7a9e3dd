"""Discounted returns-to-go (Sutton and Barto 2018, Reinforcement Learning, 2nd edition, eq. 3.8 and 3.9)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from plaudit.batches import Episodes


def returns_to_go(episodes: Episodes, discount: float) -> Float[Tensor, "B T"]:
    """G_t = r_t + discount G_{t+1} inside one episode, no bootstrap; 0 outside the mask."""
    e = episodes
    rewards = torch.where(e.mask, e.rewards, 0.0)
    continues = discount * (~e.last).to(rewards.dtype)
    result = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in range(rewards.shape[1] - 1, -1, -1):
        running = torch.where(e.mask[:, t], rewards[:, t] + continues[:, t] * running, running)
        result[:, t] = running
    return torch.where(e.mask, result, 0.0)


def complete(episodes: Episodes) -> Bool[Tensor, "B T"]:
    """Decisions whose episode terminated inside this batch: their return-to-go is the whole truth.

    A truncated or cut episode has a tail nobody saw; Monte-Carlo estimates leave its decisions out.
    """
    e = episodes
    result = torch.zeros_like(e.mask)
    running = torch.zeros_like(e.mask[:, 0])
    for t in range(e.mask.shape[1] - 1, -1, -1):
        ends = torch.where(e.last[:, t], e.terminated[:, t], running)
        running = torch.where(e.mask[:, t], ends, running)
        result[:, t] = running
    return result & e.mask


def row_returns(episodes: Episodes) -> Float[Tensor, "B"]:
    """The return of every row that is one episode, by the environment's discount: sum_t discount^t r_t."""
    e = episodes
    step = (e.mask.long().cumsum(dim=1) - 1).clamp(min=0)
    return torch.where(e.mask, e.discount ** step.to(e.rewards.dtype) * e.rewards, 0.0).sum(dim=1)
