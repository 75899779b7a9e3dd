"""Ask about ends: segments that end in a termination beside others, as often as people can tell such pairs apart."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from plaudit.queries import random
from plaudit.queries.random import Allowed

USUAL = (0.25, 0.5, 0.25)
"""Shares of the pairs of which neither, one or both segments end in a termination, while nobody has answered."""
DRAWS = 20
"""Pairs drawn for each one wanted."""


def decidable(asked: Sequence[int], decided: Sequence[int]) -> list[float]:
    """Of each sort of pairs, the share that people can decide: the posterior mean under a uniform prior."""
    return [(1 + told) / (2 + count) for count, told in zip(asked, decided, strict=True)]


def shares(decidable: Sequence[float], ending: Bool[Tensor, "W"]) -> list[float]:
    """How often each sort is asked about: as usual, times what people can decide of it; 0 for what is not there."""
    there = (bool((~ending).any()), bool(ending.any()))
    possible = (there[0], all(there), there[1])
    weights = [usual * share * here for usual, share, here in zip(USUAL, decidable, possible, strict=True)]
    return [weight / sum(weights) for weight in weights]


def pairs(
    ending: Bool[Tensor, "W"],
    shares: Sequence[float],
    count: int,
    generator: torch.Generator,
    allowed: Allowed,
) -> Int[Tensor, "P 2"]:
    """`count` pairs of windows, sorts of pairs in these shares; both sides are uniform among their like.

    Where windows are too few for that, pairs of any sort. Raises `PlauditError` where no two windows may be compared.
    """
    groups = [torch.nonzero(~ending).flatten(), torch.nonzero(ending).flatten()]
    if any(len(group) == 0 for group in groups):
        return random.pairs(len(ending), count, generator, allowed)
    size = DRAWS * count
    sort = torch.multinomial(torch.tensor(shares), size, replacement=True, generator=generator)
    first = torch.rand(size, generator=generator) < 0.5
    ends = torch.stack([(sort == 2) | ((sort == 1) & first), (sort == 2) | ((sort == 1) & ~first)], dim=1)
    drawn = [group[torch.randint(len(group), (size, 2), generator=generator)] for group in groups]
    found = torch.where(ends, drawn[1], drawn[0])
    found = found[found[:, 0] != found[:, 1]]
    found = found[allowed(found)]
    found = found[~random.repeats(found)]
    return found[:count] if len(found) >= count else random.pairs(len(ending), count, generator, allowed)
