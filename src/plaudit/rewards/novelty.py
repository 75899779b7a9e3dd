"""Pay for states unlike others: what a policy does while nobody can say what is better.

A particle estimate of state entropy, as in PEBBLE's unsupervised pre-training (Lee et al. 2021, arXiv:2106.05091,
equation 5): the logarithm of the distance to the k-th nearest state.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NEIGHBOUR = 5
"""Which neighbour counts."""
COMPARED = 2048
"""States compared with, evenly spread over the rollout: all with all would take too long in a large one."""


def novelty(states: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """log(1 + distance to the k-th nearest other state), every feature in units of its spread; 0 outside the mask."""
    rows = states[mask].double()
    if len(rows) < 2:
        return torch.zeros(mask.shape)
    rows = rows / (rows.std(dim=0) + 1e-8)
    others = rows[torch.linspace(0, len(rows) - 1, min(COMPARED, len(rows))).long()]
    k = min(NEIGHBOUR + 1, len(others))  # a state among those compared with is its own nearest
    distance = torch.cat(
        [torch.cdist(part, others).kthvalue(k, dim=1).values for part in rows.split(COMPARED)]
    )
    paid = torch.zeros(mask.shape)
    paid[mask] = torch.log1p(distance).float()
    return paid
