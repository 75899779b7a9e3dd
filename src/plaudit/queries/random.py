"""Ask about random pairs: "random queries" in Christiano et al. 2017 (arXiv:1706.03741, section 3.3).

A window is never paired with itself and no pair comes twice while others are left: rl-teacher and imitation's
`RandomFragmenter` may show people the same clip on both sides.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from plaudit.errors import PlauditError


def repeats(pairs: Int[Tensor, "P 2"]) -> Bool[Tensor, "P"]:
    """True at a pair that, in either order, has occurred before it."""
    low, high = pairs.sort(dim=1).values.unbind(dim=1)
    _, which = torch.unique(low * (pairs.amax() + 1 if len(pairs) else 1) + high, return_inverse=True)
    place = torch.arange(len(pairs), device=pairs.device)
    first = torch.full_like(place, len(pairs)).scatter_reduce(0, which, place, "amin")
    return first[which] != place


Allowed = Callable[[Int[Tensor, "P 2"]], Bool[Tensor, "P"]]
"""Says of every pair whether it may be asked, such as `segments.apart(windows, length)`."""

LISTED = 2**18
"""Up to so many possible pairs are listed and shuffled; of more, pairs are drawn until enough differ."""
ROUNDS = 200
"""Batches of draws before giving up: fewer than about one pair in a hundred is allowed then."""


def pairs(
    count_windows: int, count: int, generator: torch.Generator, allowed: Allowed | None = None
) -> Int[Tensor, "P 2"]:
    """`count` pairs of distinct windows, uniform over the allowed unordered pairs; order within is random.

    No pair is repeated before all have come once. Raises `PlauditError` where no two windows may be compared.
    """
    if count_windows < 2:
        raise PlauditError(
            f"segment: {count_windows} window(s) in this rollout but a comparison takes two; "
            "choose a shorter segment or a longer rollout"
        )
    possible = count_windows * (count_windows - 1) // 2
    if possible <= max(LISTED, 2 * count):
        return _listed(count_windows, count, generator, allowed)
    return _drawn(count_windows, count, generator, allowed)


def _listed(count_windows: int, count: int, generator: torch.Generator, allowed: Allowed | None) -> Tensor:
    """Shuffle all pairs; start over where they run out."""
    pool = torch.triu_indices(count_windows, count_windows, offset=1).T
    if allowed is not None:
        pool = pool[allowed(pool)]
    if len(pool) == 0:
        raise _none_allowed()
    rounds = -(-count // len(pool))
    order = [torch.randperm(len(pool), generator=generator) for _ in range(rounds)]
    chosen = pool[torch.cat(order)[:count]] if order else pool[:0]
    swapped = torch.randint(2, (count,), generator=generator, dtype=torch.bool)
    return torch.where(swapped[:, None], chosen.flip(1), chosen)


def _drawn(count_windows: int, count: int, generator: torch.Generator, allowed: Allowed | None) -> Tensor:
    """Draw ordered pairs; drop what is forbidden or was drawn before. The first `count` left are uniform."""
    chosen = torch.empty(0, 2, dtype=torch.long)
    for _ in range(ROUNDS):
        first = torch.randint(count_windows, (count + 64,), generator=generator)
        second = torch.randint(count_windows - 1, (count + 64,), generator=generator)
        fresh = torch.stack([first, second + (second >= first)], dim=1)  # skips the window itself
        chosen = torch.cat([chosen, fresh if allowed is None else fresh[allowed(fresh)]])
        chosen = chosen[~repeats(chosen)]
        if len(chosen) >= count:
            return chosen[:count]
    raise _none_allowed()


def _none_allowed() -> PlauditError:
    return PlauditError(
        "segment: (almost) all pairs of windows of this rollout overlap; "
        "choose a shorter segment, a longer rollout or more environments"
    )
