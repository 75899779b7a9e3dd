"""Baselines from rows that share their prompt or initial state."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def leave_one_out(returns: Float[Tensor, "B"], group: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
    """R_i minus the mean return of the other rows of its group (Kool et al. 2019; Ahmadian et al. 2024, eq. 7).

    0 where a row is alone: there is nothing to compare it with.
    """
    size, total = _sums(torch.ones_like(returns), group), _sums(returns, group)
    return torch.where(size > 1, returns - (total - returns) / (size - 1).clamp(min=1), 0.0)


def centred(returns: Float[Tensor, "B"], group: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
    """R_i minus the mean return of its group."""
    return returns - _sums(returns, group) / _sums(torch.ones_like(returns), group)


def spread(returns: Float[Tensor, "B"], group: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
    """The unbiased standard deviation (n - 1) of each row's group; 0 for a row alone."""
    size = _sums(torch.ones_like(returns), group)
    return (_sums(centred(returns, group) ** 2, group) / (size - 1).clamp(min=1)).sqrt()


def alike(returns: Float[Tensor, "B"], group: Int[Tensor, "B"]) -> Bool[Tensor, "B"]:
    """Rows whose whole group has the same return: they teach nothing."""
    largest = torch.full_like(returns, -torch.inf).scatter_reduce(0, _places(group), returns, "amax")
    smallest = torch.full_like(returns, torch.inf).scatter_reduce(0, _places(group), returns, "amin")
    return (largest == smallest)[_places(group)]


def _sums(x: Float[Tensor, "B"], group: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
    places = _places(group)
    return torch.zeros_like(x).index_add(0, places, x)[places]


def _places(group: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
    return torch.unique(group, return_inverse=True)[1]
