"""Evolution strategies (Salimans et al. 2017, arXiv:1703.03864, algorithm 1; antithetic, by centred ranks)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.declared import Count, NonNegative, Positive
from plaudit.maths.ranks import centred_ranks


@dataclass(frozen=True)
class Config:
    """The mathematics of evolution strategies."""

    pairs: Count = 32
    """Perturbations and as many of their opposites in each generation."""
    sigma: Positive = 0.1
    """Standard deviation of a perturbation, per parameter."""
    decay: NonNegative = 0.0
    """Weight of the squared length of the parameters, which keeps them small (L2)."""


def ask(centre: Float[Tensor, "D"], config: Config, generator: torch.Generator) -> Float[Tensor, "M D"]:
    """The parameters to try: centre + sigma e for each draw e, then centre - sigma e for the same ones."""
    shape = (config.pairs, len(centre))
    noise = config.sigma * torch.randn(shape, generator=generator, dtype=centre.dtype).to(centre.device)
    return torch.cat([centre + noise, centre - noise])


def tell(
    centre: Float[Tensor, "D"], tried: Float[Tensor, "M D"], fitness: Float[Tensor, "M"], config: Config
) -> Float[Tensor, "D"]:
    """The direction to go: 1 / (M sigma) sum_i rank_i e_i - decay * centre, an estimate of the fitness's gradient."""
    weight = centred_ranks(fitness).to(centre.device)
    directions = (tried - centre) / config.sigma
    return weight @ directions / (len(weight) * config.sigma) - config.decay * centre
