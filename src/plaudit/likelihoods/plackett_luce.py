"""Plackett-Luce rankings of summed rewards (Plackett 1975, doi:10.2307/2346567): first the best, then the best left."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, permutations, product
from math import factorial, isinf, isnan, nan, prod

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Loss, Rankings
from plaudit.declared import Positive, Probability
from plaudit.errors import PlauditError
from plaudit.maths.reliable import log_mixture

KIND = "ranking"
MOST_ORDERS = 720
"""Orders that agree with one ranking: six options in one tie."""
NOTHING = -1e30
"""The score of an option that is not there: its probability is 0, its gradient too."""


@dataclass(frozen=True)
class Config:
    """The mathematics of the likelihood."""

    scale: Positive = 1.0
    """Inverse temperature: options are chosen in proportion to exp(scale * return)."""
    label_noise: Probability = 0.0
    """Share of rankings taken to be coin flips between what the returns say and the opposite, for people without an
    estimated reliability."""


def judgements(said: Sequence[tuple[float, ...]], shown: Sequence[float]) -> Rankings:
    """Ranks, as many as the longest ranking has; the side on which an option stood plays no part."""
    most = max(map(len, said))
    return Rankings(torch.tensor([[*one, *[nan] * (most - len(one))] for one in said]))


def loss(rewards: Float[Tensor, "R C"], judgements: Rankings, config: Config) -> Loss:
    """Weighted mean negative log-likelihood of the rankings.

    P(order) = eta PL(order; s) + (1 - eta) PL(order; -s) with PL(order; s) = prod_j exp(s_j) / sum_(i >= j) exp(s_i),
    s = scale * R, where eta is the person's reliability. Of a tie all orders count alike. With two options this is
    Bradley-Terry.
    """
    places, chosen, row, share = _orders(judgements.ranks)
    present = places >= 0
    scores = config.scale * rewards[row].gather(1, places.clamp(min=0))
    eta = torch.full_like(rewards[:, 0], 1 - config.label_noise / 2)
    eta = eta if judgements.reliability is None else judgements.reliability
    likely = log_mixture(_log_order(scores, present, chosen), _log_order(-scores, present, chosen), eta[row])
    nll = torch.zeros_like(rewards[:, 0]).index_add(0, row, -share * likely)
    weight = torch.ones_like(nll) if judgements.weight is None else judgements.weight
    total = (weight * nll).sum() / weight.sum()
    metrics = {"reward/nll": total.detach()} | _agreement(rewards.detach(), judgements.ranks)
    return Loss(nll=total, metrics=metrics)


def _log_order(scores: Float[Tensor, "N C"], present: Tensor, chosen: Tensor) -> Float[Tensor, "N"]:
    """log PL of options that stand in their order, of which the first ones are chosen one after another."""
    s = torch.where(present, scores, NOTHING)
    rest = s.flip(1).logcumsumexp(dim=1).flip(1)
    return torch.where(chosen, s - rest, 0.0).sum(dim=1)


def _orders(ranks: Float[Tensor, "R C"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Every order that agrees with a ranking: options in their order [N, C] (-1: none), which of these are chosen and
    not left over [N, C], the row each order is of [N], and its share of that row [N]."""
    places, chosen, rows, shares = [], [], [], []
    for number, row in enumerate(ranks.tolist()):
        known = sorted((i for i, rank in enumerate(row) if not isnan(rank)), key=lambda i: row[i])
        ranked = [i for i in known if not isinf(row[i])]
        groups = [list(group) for _, group in groupby(ranked, key=lambda i: row[i])]
        count = prod(factorial(len(group)) for group in groups)
        if count > MOST_ORDERS:
            raise PlauditError(
                f"ranking {number + 1}: {count:,} orders agree with its ties; break some, so that at most six tie"
            )
        left = known[len(ranked) :]
        for order in product(*map(permutations, groups)):
            found = [i for group in order for i in group] + left
            places.append(found + [-1] * (len(row) - len(found)))
            chosen.append([i < len(ranked) for i in range(len(row))])
            rows.append(number)
            shares.append(1 / count)
    device = ranks.device
    return (
        torch.tensor(places, device=device),
        torch.tensor(chosen, device=device),
        torch.tensor(rows, device=device),
        torch.tensor(shares, dtype=ranks.dtype, device=device),
    )


def _agreement(rewards: Float[Tensor, "R C"], ranks: Float[Tensor, "R C"]) -> dict[str, Tensor]:
    """Over all pairs of differently ranked options: the share in the right order, and the mean difference."""
    better = ranks[:, :, None] < ranks[:, None, :]  # false where there is no option
    ahead = (rewards[:, :, None] - rewards[:, None, :])[better]
    pairs = max(1, len(ahead))
    return {"reward/accuracy": (ahead > 0).sum() / pairs, "reward/margin": ahead.sum() / pairs}
