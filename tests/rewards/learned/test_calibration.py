"""Forecasts of answers that were not learned from: those of the likelihood, for every kind."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from plaudit.batches import Comparisons, Judgements, Rankings, Ratings
from plaudit.likelihoods import bradley_terry, plackett_luce, rating
from plaudit.rewards.learned.calibration import forecast
from plaudit.rewards.learned.people import People, PeopleConfig
from plaudit.rewards.learned.terms import Likelihood, Term


def trainer(*terms: tuple[Tensor, Term]) -> Any:
    """A trainer of which these are the terms, and the returns of each."""
    returns = {id(term): found for found, term in terms}
    return SimpleNamespace(
        terms=lambda judgements: [term for _, term in terms],
        returns=lambda term: returns[id(term)],
        people=People(PeopleConfig()),
    )


def term(kind: Any, judgements: Judgements, module: Any, **settings: Any) -> Term:
    return Term(kind, None, judgements, Likelihood(module, module.Config(**settings)))


@pytest.mark.parametrize("label_noise", [0.0, 0.3])
@pytest.mark.parametrize("known", [False, True])
def test_forecasts_are_those_of_the_likelihood_that_is_learned(label_noise: float, known: bool) -> None:
    """The reports judge the logged probabilities: they are of the same people as the loss."""
    returns = torch.tensor([[3.0, -2.0], [0.5, 1.0], [-4.0, 2.0], [1.0, 1.0]], dtype=torch.float64)
    said = torch.tensor([0.0, 1.0, 0.0, 0.5], dtype=torch.float64)
    people = Comparisons(said)
    if known:
        people = Comparisons(said, reliability=torch.full_like(said, 0.8), side_bias=torch.ones_like(said))
    found = forecast(
        trainer((returns, term("comparison", people, bradley_terry, scale=2.0, label_noise=label_noise))), []
    )
    forecasts = found["reward/held_out_probabilities"]
    nll = [
        -y * math.log(p) - (1 - y) * math.log(1 - p) for p, y in zip(forecasts, said.tolist(), strict=True)
    ]
    assert found["reward/held_out_nll"] == pytest.approx(sum(nll) / len(nll), rel=1e-6)
    assert found["reward/held_out_answers"] == said.tolist()
    assert found["reward/held_out_accuracy"] == pytest.approx(1 / 3)  # of three decided ones
    if label_noise and not known:  # nobody who errs in 15 % of the cases is forecast with more than 85 %
        assert all(0.15 <= p <= 0.85 for p in forecasts)


def test_every_kind_is_forecast_under_its_own_name() -> None:
    pairs = torch.tensor([[1.0, 0.0]]), term("comparison", Comparisons(torch.ones(1)), bradley_terry)
    orders = (
        torch.tensor([[3.0, 1.0, 2.0]]),
        term("ranking", Rankings(torch.tensor([[1.0, 2.0, 3.0]])), plackett_luce),
    )
    marks = torch.tensor([[1.0], [1.0]]), term("rating", Ratings(torch.tensor([1.0, 0.0])), rating)
    found = forecast(trainer(pairs, orders, marks), [])
    assert found["reward/held_out_nll"] == pytest.approx(math.log(1 + math.exp(-1)))
    # 3, then 1 before 2: of three pairs of options two are in order
    e = math.exp
    luce = -math.log(e(3) / (e(3) + e(1) + e(2)) * e(1) / (e(1) + e(2)))
    assert found["reward/held_out_ranking_nll"] == pytest.approx(luce)
    assert found["reward/held_out_ranking_accuracy"] == pytest.approx(2 / 3)
    assert found["reward/held_out_rating_nll"] == pytest.approx(
        (math.log(1 + e(-1)) + math.log(1 + e(1))) / 2
    )
    assert found["reward/held_out_rating_accuracy"] == 0.5
    assert forecast(trainer(), []) == {}
