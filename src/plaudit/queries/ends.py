"""Ask about ends: half of the options of a pair are segments that end in a termination, where there are such."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from plaudit.queries import random
from plaudit.queries.random import Allowed

DRAWS = 20
"""Pairs drawn for each one wanted."""


def pairs(
    ending: Bool[Tensor, "W"], count: int, generator: torch.Generator, allowed: Allowed
) -> Int[Tensor, "P 2"]:
    """`count` pairs of windows, each side of which ends in a termination with probability one half.

    Both sides are uniform among their like. Raises `PlauditError` where no two windows may be compared.
    """
    groups = [torch.nonzero(~ending).flatten(), torch.nonzero(ending).flatten()]
    if any(len(group) == 0 for group in groups):
        return random.pairs(len(ending), count, generator, allowed)
    size = (DRAWS * count, 2)
    which = torch.rand(size, generator=generator) < 0.5
    drawn = [group[torch.randint(len(group), size, generator=generator)] for group in groups]
    found = torch.where(which, drawn[1], drawn[0])
    found = found[(found[:, 0] != found[:, 1])]
    found = found[allowed(found)]
    found = found[~random.repeats(found)]
    if len(found) < count:
        return random.pairs(len(ending), count, generator, allowed)
    return found[:count]
