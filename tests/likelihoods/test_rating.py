"""Ratings against the definition in plain floats, hand calculations, and the maximum of the likelihood."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.batches import Comparisons, Ratings
from plaudit.likelihoods import bradley_terry, rating
from plaudit.likelihoods.rating import Config

judgement = st.tuples(
    st.floats(-15, 15), st.floats(0, 1), st.sampled_from([0.0, 0.3, 1.0]), st.floats(-2, 2), st.floats(0.1, 5)
)


def sigma(d: float) -> float:
    return 1 / (1 + math.exp(-d))


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(judgement, min_size=1, max_size=6), scale=st.sampled_from([0.2, 1.0]))
def test_equals_the_definition(rows: list, scale: float) -> None:
    r, u, eta, delta, w = (torch.tensor(c, dtype=torch.float64) for c in zip(*rows, strict=True))
    mine = rating.loss(r[:, None], Ratings(u, eta, delta, w), Config(scale=scale))
    total = 0.0
    for reward, value, reliable, lenient, weight in rows:
        d = scale * reward + lenient
        p, q = (reliable * sigma(x) + (1 - reliable) * sigma(-x) for x in (d, -d))
        total -= weight * (
            (value * math.log(p) if value else 0) + ((1 - value) * math.log(q) if value < 1 else 0)
        )
    assert mine.total.item() == pytest.approx(total / sum(row[4] for row in rows), rel=1e-6, abs=1e-9)


def test_worked_by_hand() -> None:
    # sigma(log 3) = 3/4: the middle of the scale costs -(log 3/4 + log 1/4) / 2; thumbs up costs log 4/3
    reward = torch.tensor([[math.log(3)]])
    middle, up = (rating.loss(reward, Ratings(torch.tensor([u])), Config()) for u in (0.5, 1.0))
    assert middle.total.item() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2)
    assert up.total.item() == pytest.approx(math.log(4 / 3))
    assert up.metrics["reward/accuracy"].item() == 1
    assert up.metrics["reward/error"].item() == pytest.approx(0.25)


def test_the_best_reward_gives_back_the_mean_rating() -> None:
    values = torch.tensor([0.25, 0.5, 1.0, 0.75], dtype=torch.float64)
    reward = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([reward], max_iter=100, tolerance_grad=1e-12)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        total = rating.loss(reward.expand(4, 1), Ratings(values), Config()).total
        total.backward()
        return total

    optimiser.step(closure)
    assert sigma(reward.item()) == pytest.approx(0.625, abs=1e-6)


def test_a_comparison_with_the_middle_of_the_scale_is_thumbs() -> None:
    reward, up = torch.tensor([[0.3], [-1.2]]), torch.tensor([1.0, 0.0])
    beside = torch.cat([reward, torch.zeros(2, 1)], dim=1)
    one = rating.loss(reward, Ratings(up), Config(label_noise=0.2)).total
    other = bradley_terry.loss(beside, Comparisons(up), bradley_terry.Config(label_noise=0.2)).total
    assert one.item() == pytest.approx(other.item())


def test_an_adversary_is_informative() -> None:
    reward = torch.tensor([[2.0]], requires_grad=True)
    rating.loss(reward, Ratings(torch.ones(1), reliability=torch.zeros(1)), Config()).total.backward()
    assert reward.grad.item() > 0  # who always says the opposite says that it is bad
