"""Forecasts of answers that were not learned from: those of the likelihood, for every kind."""

import math
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from plaudit.batches import Comparisons, Judgements, Rankings, Ratings
from plaudit.likelihoods import bradley_terry, plackett_luce, rating
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.rewards.control import SegmentReward
from plaudit.rewards.learned.calibration import Foreseen, beats_a_coin, forecast, foreseen
from plaudit.rewards.learned.people import People, PeopleConfig
from plaudit.rewards.learned.terms import Judgement, Likelihood, Term
from plaudit.rewards.learned.trainer import LearnedConfig, RewardTrainer


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


# ------------------------------------------------------------------------------------------ do answers foresee others


def learner(seed: int = 0) -> RewardTrainer:
    model = RewardEnsemble(
        Spaces(2, 1, "continuous"), RewardConfig(hidden=(8,)), torch.Generator().manual_seed(seed)
    )
    medium = SegmentReward(model, lambda segment: segment)
    return RewardTrainer(medium, LearnedConfig(), torch.Generator().manual_seed(seed))


def judged(count: int, right: float, seed: int = 0) -> list[Judgement]:
    """The larger sum of the first feature is better; so many are told right."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        sides = []
        for _ in range(2):
            states = torch.randn(1, 5, 2, generator=generator)
            actions = torch.zeros(1, 5, 1)
            sides.append(Transitions(states, actions, actions, states, torch.zeros(1, 5)))
        better = float(sides[0].observations[..., 0].sum() > sides[1].observations[..., 0].sum())
        wrong = float(torch.rand((), generator=generator)) >= right
        found.append(Judgement("comparison", tuple(sides), (1 - better if wrong else better,)))
    return found


def test_answers_of_people_foresee_one_another_and_coins_do_not() -> None:
    one = learner()
    untaught = deepcopy(one.state_dict())
    honest = foreseen(one, judged(60, 1.0), untaught)
    assert honest.answers == 60 and honest.right > 50 and beats_a_coin(honest)
    proven = [beats_a_coin(foreseen(one, judged(60, 0.5, seed), untaught)) for seed in range(1, 9)]
    assert not any(proven)


def test_looking_changes_nothing() -> None:
    """Not the model, not its optimiser, not what draws: a run that looks is the run that does not."""
    one, other, answers = learner(), learner(), judged(40, 0.8)
    for each in (one, other):
        each.fit(answers[:30])
    foreseen(one, answers, deepcopy(learner().state_dict()))
    for each in (one, other):
        each.fit(answers)
    found, expected = (each.medium.model.state_dict() for each in (one, other))
    assert one.fits == other.fits == 2 and all(torch.equal(found[name], expected[name]) for name in expected)


def test_few_answers_are_believed_and_ties_are_not_counted() -> None:
    one = learner()
    untaught = deepcopy(one.state_dict())
    few = foreseen(one, judged(29, 0.5), untaught)
    assert few.answers == 0 and beats_a_coin(few)
    tied = [replace(judgement, said=(0.5,)) for judgement in judged(20, 1.0, seed=5)]
    assert foreseen(one, judged(30, 1.0) + tied, untaught).answers == 30
    assert foreseen(one, judged(60, 1.0), None).answers == 0  # where a fit costs too much


def test_how_sure_one_must_be() -> None:
    # Wilson's lower bound at three standard errors, by hand for 40 of 50: .592
    assert (
        beats_a_coin(Foreseen(40, 50))
        and not beats_a_coin(Foreseen(32, 50))
        and beats_a_coin(Foreseen(5, 29))
    )
