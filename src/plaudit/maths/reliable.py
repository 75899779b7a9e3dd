"""What somebody says who means it with probability eta, and otherwise the opposite (Dawid and Skene 1979, eq. 2.1)."""

import torch
from jaxtyping import Float
from torch import Tensor


def log_mixture(
    meant: Float[Tensor, "*N"], opposite: Float[Tensor, "*N"], eta: Float[Tensor, "*N"]
) -> Float[Tensor, "*N"]:
    """log(eta exp(meant) + (1 - eta) exp(opposite)) of two log-probabilities.

    Stable for very small ones and for eta in {0, 1}, gradients included.
    """
    certain = torch.where(eta > 0.5, meant, opposite)
    mixed = (eta > 0) & (eta < 1)
    # keeps log(0) and its gradient out of the graph
    inside = torch.where(mixed, eta, torch.full_like(eta, 0.5))
    mixture = torch.logaddexp(inside.log() + meant, (-inside).log1p() + opposite)
    return torch.where(mixed, mixture, certain)
