"""Answers read from a file, of any kind, as what a fit of a reward takes: judgements and their likelihood."""

from collections.abc import Sequence
from math import nan
from typing import Any

import torch

from plaudit.batches import Comparisons, Judgements, Rankings, Ratings
from plaudit.errors import PlauditError
from plaudit.likelihoods import bradley_terry, plackett_luce, rating
from plaudit.readers.judgements import Judged
from plaudit.rewards.learned.fit import Likelihood

LIKELIHOODS: dict[str, Any] = {"comparison": bradley_terry, "ranking": plackett_luce, "rating": rating}
"""By kind of answer, how it depends on the reward."""


def likelihood(rows: Sequence[Judged], scale: float) -> Likelihood:
    """That of rows of one kind."""
    module = LIKELIHOODS[rows[0].kind]
    return Likelihood(module, module.Config(scale=scale))


def judgements(rows: Sequence[Judged]) -> Judgements:
    """What was said in rows of one kind. PlauditError where it teaches nothing."""
    kind, said = rows[0].kind, [one.said for one in rows]
    if kind == "comparison":
        return Comparisons(torch.tensor([one[0] for one in said]))
    if kind == "ranking":
        most = max(map(len, said))
        ranks = torch.tensor([[*one, *[nan] * (most - len(one))] for one in said])
        if not (ranks[:, :, None] < ranks[:, None, :]).any():
            raise PlauditError(
                f"{rows[0].where}: all options of all rankings are tied; give rankings that say more"
            )
        return Rankings(ranks)
    return Ratings(torch.tensor(_on_unit_scale(rows)))


def _on_unit_scale(rows: Sequence[Judged]) -> list[float]:
    """Ratings from 0 to 1; without a scale of their own, from the smallest to the largest in the file."""
    values = [one.said[0] for one in rows if one.scale is None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if not low < high:
        raise PlauditError(
            f"{rows[0].where}: every rating is {low:g}; give the scale (`low` and `high`), or ratings that differ"
        )
    scales = [one.scale or (low, high) for one in rows]
    return [(one.said[0] - a) / (b - a) for one, (a, b) in zip(rows, scales, strict=True)]
