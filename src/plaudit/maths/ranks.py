"""Centred ranks: fitness by its order alone (Salimans et al. 2017, arXiv:1703.03864, section 2.1)."""

import torch
from jaxtyping import Float
from torch import Tensor


def centred_ranks(fitness: Float[Tensor, "M"]) -> Float[Tensor, "M"]:
    """From -.5 for the worst to .5 for the best; ties share the mean of their ranks, so that equal ones weigh alike."""
    below = (fitness[None, :] < fitness[:, None]).sum(dim=1)
    equal = (fitness[None, :] == fitness[:, None]).sum(dim=1)
    rank = below.to(fitness.dtype) + (equal.to(fitness.dtype) - 1) / 2
    return rank / max(1, len(fitness) - 1) - 0.5 if len(fitness) > 1 else torch.zeros_like(fitness)
