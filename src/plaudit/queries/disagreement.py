"""Ask where the ensemble disagrees most (Christiano et al. 2017, arXiv:1706.03741, section 2.2.4)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from plaudit.errors import PlauditError
from plaudit.queries.random import repeats


def pairs(
    returns: Float[Tensor, "K W"],
    candidates: Int[Tensor, "C 2"],
    count: int,
    generator: torch.Generator,
    scale: float = 1.0,
) -> Int[Tensor, "P 2"]:
    """The `count` candidates with the largest variance, most disputed first; `returns[k, w]` is by member k.

    Ties are broken by the generator. A candidate that occurs again is taken only after all distinct ones.
    Raises `PlauditError` where there are too few candidates.
    """
    if count > len(candidates):
        raise PlauditError(
            f"candidates: {count} pairs wanted but only {len(candidates)} to choose from; "
            "raise feedback.candidates"
        )
    shuffled = candidates[torch.randperm(len(candidates), generator=generator)]
    disputed = variance(returns, shuffled, scale)
    order = disputed.argsort(descending=True, stable=True)  # stable: the shuffle decides ties
    order = order[repeats(shuffled[order]).to(torch.int8).argsort(stable=True)]
    return shuffled[order[:count]]


def variance(
    returns: Float[Tensor, "K W"], candidates: Int[Tensor, "C 2"], scale: float = 1.0
) -> Float[Tensor, "C"]:
    """Unbiased variance (K - 1) over the members of P(first preferred) = sigma(scale * (R_first - R_second)).

    In double precision, so that well separated pairs are still told apart.
    Raises `PlauditError` for one member.
    """
    if len(returns) < 2:
        raise PlauditError(
            "reward.model.members: one network cannot disagree with itself; take at least 2, or `ask: random`"
        )
    exact = returns.double()
    logits = scale * (exact[:, candidates[:, 0]] - exact[:, candidates[:, 1]])
    return logits.sigmoid().var(dim=0, correction=1)
