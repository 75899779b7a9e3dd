"""Plackett-Luce against the definition in plain floats over all orders, choix, published numbers, Bradley-Terry."""

import math
from collections.abc import Sequence
from itertools import permutations

import choix
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.batches import Comparisons, Rankings
from plaudit.batches.rows import take
from plaudit.errors import PlauditError
from plaudit.likelihoods import bradley_terry, plackett_luce
from plaudit.likelihoods.plackett_luce import Config

INF, NAN = math.inf, math.nan
CHOIX_RANK = [[0, 1, 2], [3, 2, 0], [1, 3]]
CHOIX_RANK_ML = [-0.44328117, 0.69506219, -0.67061442, 0.4188334]
CHOIX_TOP1 = [(0, (1,)), (1, (2,)), (2, (0, 1))]
CHOIX_TOP1_ML = [0.16040395, -0.32080789, 0.16040394]


def of_order(scores: Sequence[float], chosen: int) -> float:
    """The probability of choosing the first `chosen` options one after another."""
    p = 1.0
    for j in range(chosen):
        p *= math.exp(scores[j]) / sum(math.exp(s) for s in scores[j:])
    return p


def oracle(scores: Sequence[float], ranks: Sequence[float], eta: float) -> float:
    """Mean of -log P over every order of the ranked options that puts no worse one before a better one."""
    there = [i for i, rank in enumerate(ranks) if not math.isnan(rank)]
    ranked = [i for i in there if not math.isinf(ranks[i])]
    rest = [i for i in there if math.isinf(ranks[i])]
    found = []
    for order in permutations(ranked):
        if all(ranks[a] <= ranks[b] for a, b in zip(order, order[1:], strict=False)):
            s = [scores[i] for i in [*order, *rest]]
            mixed = eta * of_order(s, len(order)) + (1 - eta) * of_order([-x for x in s], len(order))
            found.append(-math.log(mixed))
    return sum(found) / len(found)


def loss(
    scores: Sequence[Sequence[float]], ranks: Sequence[Sequence[float]], config: Config = Config()
) -> float:
    return plackett_luce.loss(torch.tensor(scores), Rankings(torch.tensor(ranks)), config).total.item()


options = st.lists(
    st.tuples(st.floats(-4, 4), st.sampled_from([1.0, 2.0, 3.0, INF, NAN])), min_size=4, max_size=4
).filter(lambda row: any(not math.isnan(rank) for _, rank in row))
row = st.tuples(options, st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.floats(0.1, 3))


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=4), scale=st.sampled_from([0.5, 1.0, 2.0]))
def test_equals_the_definition_with_ties_unranked_and_missing_options(rows: list, scale: float) -> None:
    scores = torch.tensor(
        [[s for s, _ in one] for one, _, _ in rows], dtype=torch.float64, requires_grad=True
    )
    ranks = torch.tensor([[r for _, r in one] for one, _, _ in rows], dtype=torch.float64)
    reliability, weight = (torch.tensor([r[i] for r in rows], dtype=torch.float64) for i in (1, 2))
    mine = plackett_luce.loss(scores, Rankings(ranks, reliability, weight), Config(scale=scale))
    wanted = sum(
        w * oracle([scale * s for s, _ in one], [r for _, r in one], eta) for one, eta, w in rows
    ) / sum(w for *_, w in rows)
    assert mine.total.item() == pytest.approx(wanted, rel=1e-6, abs=1e-9)
    mine.total.backward()
    assert torch.isfinite(scores.grad).all() and not scores.grad[ranks.isnan()].any()


def test_published_number() -> None:
    assert loss([[2.0, 1.0, 0.0]], [[1.0, 2.0, 3.0]]) == pytest.approx(0.72086765, rel=1e-6)
    pairs = [(2.0, 1.0), (1.0, 0.0), (2.0, 0.0)]
    as_pairs = bradley_terry.loss(torch.tensor(pairs), Comparisons(torch.ones(3)), bradley_terry.Config())
    assert as_pairs.total.item() == pytest.approx(0.25115046, abs=1e-7)


def test_worked_by_hand() -> None:
    # scores log 3, log 2, log 1: P(in this order) = 3/6 * 2/3 = 1/3; the best alone: 3/6; a tie of the first two
    # counts log(3/6 * 2/3) and log(2/6 * 3/4) half each
    s = [[math.log(3), math.log(2), 0.0]]
    assert loss(s, [[1.0, 2.0, 3.0]]) == pytest.approx(math.log(3))
    assert loss(s, [[1.0, INF, INF]]) == pytest.approx(math.log(2))
    assert loss(s, [[1.0, 1.0, 2.0]]) == pytest.approx((math.log(3) + math.log(4)) / 2)


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(
        st.tuples(st.floats(-9, 9), st.floats(-9, 9), st.sampled_from([0.0, 0.5, 1.0])), min_size=1
    ),
    label_noise=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_two_options_are_bradley_terry(pairs: list, label_noise: float) -> None:
    scores = torch.tensor([p[:2] for p in pairs], dtype=torch.float64)
    said = torch.tensor([p[2] for p in pairs], dtype=torch.float64)
    ranks = torch.stack([2 - said, 1 + said], dim=1)  # 1 and 2; 2 and 1; 1.5 and 1.5
    mine = plackett_luce.loss(scores, Rankings(ranks), Config(0.7, label_noise)).total
    other = bradley_terry.loss(scores, Comparisons(said), bradley_terry.Config(0.7, label_noise)).total
    assert mine.item() == pytest.approx(other.item(), rel=1e-9)


def fitted(rankings: Rankings, items: int, places: torch.Tensor) -> np.ndarray:
    """Maximum-likelihood scores of mean 0, with choix's tiny penalty on their squares."""
    theta = torch.zeros(items, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [theta], max_iter=500, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        nll = len(places) * plackett_luce.loss(theta[places], rankings, Config()).total
        total = nll + 1e-6 * (theta**2).sum()
        total.backward()
        return total

    optimiser.step(closure)
    return (theta - theta.mean()).detach().numpy()


def test_maximum_likelihood_of_rankings_is_that_of_choix() -> None:
    places = torch.tensor([order + [0] * (3 - len(order)) for order in CHOIX_RANK])
    ranks = torch.tensor([[1.0, 2.0, 3.0 if len(o) == 3 else NAN] for o in CHOIX_RANK], dtype=torch.float64)
    found = fitted(Rankings(ranks), 4, places)
    assert found == pytest.approx(CHOIX_RANK_ML, abs=5e-5)  # as far as their iterations went
    assert found == pytest.approx(choix.opt_rankings(4, CHOIX_RANK), abs=1e-6)


def test_maximum_likelihood_of_first_choices_is_that_of_choix() -> None:
    places = torch.tensor([[0, 1, 0], [1, 2, 0], [2, 0, 1]])
    ranks = torch.tensor([[1.0, INF, NAN], [1.0, INF, NAN], [1.0, INF, INF]], dtype=torch.float64)
    found = fitted(Rankings(ranks), 3, places)
    assert found == pytest.approx(CHOIX_TOP1_ML, abs=5e-5)
    assert found == pytest.approx(choix.opt_top1(3, CHOIX_TOP1), abs=1e-6)


def test_neither_padding_nor_the_order_of_options_nor_a_constant_matters() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(5, 4, generator=generator)
    ranks = torch.tensor([[1.0, 2.0, 2.0, 3.0]]).expand(5, 4)
    whole = plackett_luce.loss(scores, Rankings(ranks), Config()).total
    order = torch.randperm(4, generator=generator)
    wide = (
        torch.cat([scores[:, order], torch.full((5, 2), NAN)], dim=1),
        torch.cat([ranks[:, order], torch.full((5, 2), NAN)], dim=1),
    )
    assert plackett_luce.loss(wide[0] + 7, Rankings(wide[1]), Config()).total.item() == pytest.approx(
        whole.item(), rel=1e-5
    )
    one = plackett_luce.loss(scores[2:3], take(Rankings(ranks), slice(2, 3)), Config()).total
    assert torch.isfinite(one)


def test_metrics_count_pairs_of_different_ranks() -> None:
    # pairs: first over second (right, by 1), first over third (wrong, by -1); second and third are tied
    metrics = plackett_luce.loss(
        torch.tensor([[1.0, 0.0, 2.0]]), Rankings(torch.tensor([[1.0, 2.0, 2.0]])), Config()
    ).metrics
    assert metrics["reward/accuracy"].item() == 0.5
    assert metrics["reward/margin"].item() == 0.0


def test_too_many_ties_are_refused() -> None:
    with pytest.raises(PlauditError, match="ranking 1: 5,040 orders"):
        loss([[0.0] * 7], [[1.0] * 7])
