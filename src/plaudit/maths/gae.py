"""Generalised advantage estimation (Schulman et al. 2016, arXiv:1506.02438, eq. 11, 12 and 16)."""

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes


def gae(episodes: Episodes, discount: float, lam: float) -> Float[Tensor, "B T"]:
    """A_t = sum_k (discount lam)^k delta_{t+k} with delta_t = r_t + discount V(s_{t+1}) - V(s_t), per episode.

    Bootstraps with V of the true successor unless the episode terminated; a sum never crosses `last`; positions
    outside the mask are skipped over (a gap inside an episode does not break it) and get 0. Needs a critic.
    """
    e = episodes
    if e.values is None or e.next_values is None:
        raise ValueError(
            "GAE needs episodes with values and next_values; give the policy a critic or use MonteCarlo"
        )
    follows = torch.where(e.terminated, 0.0, discount * e.next_values)
    delta = torch.where(e.mask, e.rewards + follows - e.values, 0.0)
    carries = discount * lam * (~e.last).to(delta.dtype)
    advantages = torch.zeros_like(delta)
    running = torch.zeros_like(delta[:, 0])
    for t in range(delta.shape[1] - 1, -1, -1):
        running = torch.where(e.mask[:, t], delta[:, t] + carries[:, t] * running, running)
        advantages[:, t] = running
    return torch.where(e.mask, advantages, 0.0)
