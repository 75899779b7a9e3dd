"""Pairs whose order does not matter: (2, 5) and (5, 2) are the same question."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def repeats(pairs: Int[Tensor, "P 2"]) -> Bool[Tensor, "P"]:
    """True at a pair that, in either order, has occurred before it."""
    low, high = pairs.sort(dim=1).values.unbind(dim=1)
    _, which = torch.unique(low * (pairs.amax() + 1 if len(pairs) else 1) + high, return_inverse=True)
    place = torch.arange(len(pairs), device=pairs.device)
    first = torch.full_like(place, len(pairs)).scatter_reduce(0, which, place, "amin")
    return first[which] != place
