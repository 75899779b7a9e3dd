"""Bradley-Terry against the definition in plain floats, choix, published scores and hand calculations."""

import math

import choix
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from plaudit.batches import Comparisons
from plaudit.batches.rows import take
from plaudit.likelihoods import bradley_terry
from plaudit.likelihoods.bradley_terry import Config

CHOIX_PAIR = [(0, 1), (0, 1), (1, 2), (2, 0)]
CHOIX_PAIR_ML = [0.419617624, -0.419617624, 0.0]
WIKIPEDIA_WINS = {"AB": 2, "AD": 1, "BA": 3, "BC": 5, "CB": 3, "CD": 1, "DA": 4, "DC": 3}
WIKIPEDIA_STRENGTHS = {"A": 0.639835, "B": 1.043314, "C": 0.659810, "D": 2.270377}  # geometric mean 1

reliabilities = st.sampled_from([0.0, 0.2, 0.5, 0.7, 0.95, 1.0])
judgement = st.tuples(
    st.floats(-20, 20),
    st.floats(-20, 20),
    st.sampled_from([0.0, 0.5, 1.0]),
    reliabilities,
    st.floats(-2, 2),
    st.floats(0.1, 5),
)


def loss(pairs: list[tuple[float, float]], preference: list[float], config: Config = Config()) -> float:
    return bradley_terry.loss(torch.tensor(pairs), Comparisons(torch.tensor(preference)), config).total.item()


def sigma(d: float) -> float:
    return 1 / (1 + math.exp(-d))


@settings(max_examples=150, deadline=None)
@given(people=st.lists(judgement, min_size=1, max_size=6), scale=st.sampled_from([0.1, 1.0, 2.0]))
def test_equals_the_definition_with_reliability_bias_ties_and_weights(people: list, scale: float) -> None:
    columns = [torch.tensor(c, dtype=torch.float64) for c in zip(*people, strict=True)]
    judged = Comparisons(columns[2], reliability=columns[3], side_bias=columns[4], weight=columns[5])
    mine = bradley_terry.loss(torch.stack(columns[:2], dim=1), judged, Config(scale=scale, centring=0.03))

    total = weights = centring = 0.0
    for first, second, preference, eta, delta, weight in people:
        d = scale * (first - second) + delta
        likely = [eta * sigma(x) + (1 - eta) * sigma(-x) for x in (d, -d)]
        total -= weight * sum(
            p * math.log(q) for p, q in zip((preference, 1 - preference), likely, strict=True) if p
        )
        weights += weight
        centring += (first + second) ** 2 / len(people)
    assert mine.metrics["reward/nll"].item() == pytest.approx(total / weights, rel=1e-6, abs=1e-9)
    assert mine.total.item() == pytest.approx(total / weights + 0.03 * centring, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [((0.0, 0.0), 0.69314718), ((1.0, 0.0), 0.31326169), ((0.0, 1.0), 1.31326169), ((2.0, -1.0), 0.04858735)],
)
def test_published_losses(pair: tuple[float, float], expected: float) -> None:
    assert loss([pair], [1.0]) == pytest.approx(expected, abs=1e-7)
    assert loss([pair[::-1]], [0.0]) == pytest.approx(expected, abs=1e-7)


def test_published_margin_and_centring() -> None:
    # a margin of 1 that the first must win by is a side bias of -1: -log sigma(2 - -1 - 1) = .12692801
    judged = Comparisons(torch.ones(1), side_bias=-torch.ones(1))
    assert bradley_terry.loss(torch.tensor([[2.0, -1.0]]), judged, Config()).total.item() == pytest.approx(
        0.12692801
    )
    plain, centred = (loss([(2.0, -1.0)], [1.0], Config(centring=c)) for c in (0.0, 0.01))
    assert centred - plain == pytest.approx(0.01, abs=1e-7)  # .01 * (2 - 1)^2


def test_an_untrained_model_loses_ln_2() -> None:
    assert loss([(0.0, 0.0)] * 4, [1.0, 0.0, 0.5, 1.0]) == pytest.approx(math.log(2))


def test_reliability_worked_by_hand() -> None:
    # d = ln 3: sigma(d) = 3/4. eta .9: P = .9*.75 + .1*.25 = .7; an adversary, eta .1: .1*.75 + .9*.25 = .3;
    # eta 0 always says the contrary: .25; eta .5 is a coin: .5; a tie pays half of each side.
    pair = torch.tensor([[math.log(3), 0.0]])
    for eta, first in [(1.0, 0.75), (0.9, 0.7), (0.5, 0.5), (0.1, 0.3), (0.0, 0.25)]:
        for preference, nll in [
            (1.0, -math.log(first)),
            (0.0, -math.log(1 - first)),
            (0.5, -math.log(first * (1 - first)) / 2),
        ]:
            judged = Comparisons(torch.tensor([preference]), reliability=torch.tensor([eta]))
            assert bradley_terry.loss(pair, judged, Config()).total.item() == pytest.approx(nll, abs=1e-6)


def test_mistakes_are_a_share_of_coin_flips() -> None:
    # the mixture .5 e + (1 - e) sigma(d), d = ln 3, e = .2: .1 + .8 * .75 = .7
    assert loss([(math.log(3), 0.0)], [1.0], Config(label_noise=0.2)) == pytest.approx(
        -math.log(0.7), abs=1e-6
    )


@pytest.mark.parametrize("eta", [0.0, 0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("d", [0.0, 1.0, -1.0, 50.0, -50.0, 1e4, -1e4])
@pytest.mark.parametrize("preference", [0.0, 0.5, 1.0])
def test_loss_and_gradient_are_finite_and_right_however_far_apart(
    eta: float, d: float, preference: float
) -> None:
    rewards = torch.tensor([[d, 0.0]], requires_grad=True)
    reliability = torch.tensor([eta], requires_grad=True)
    judged = Comparisons(torch.tensor([preference]), reliability=reliability)
    total = bradley_terry.loss(rewards, judged, Config()).total
    gradient, of_eta = torch.autograd.grad(total, [rewards, reliability])
    assert torch.isfinite(total) and torch.isfinite(gradient).all() and torch.isfinite(of_eta).all()

    def slope(
        x: float, e: float
    ) -> float:  # d/dx log(e sigma(x) + (1-e) sigma(-x)), in a form that cannot overflow
        small = math.exp(-abs(x))
        s, c = (1 / (1 + small), small / (1 + small)) if x > 0 else (small / (1 + small), 1 / (1 + small))
        if e in (0.0, 1.0):
            return c if e == 1 else -s
        return (2 * e - 1) * s * c / (e * s + (1 - e) * c)

    expected = -(preference * slope(d, eta) - (1 - preference) * slope(-d, eta))
    assert gradient[0, 0].item() == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert gradient[0, 1].item() == pytest.approx(-expected, rel=1e-5, abs=1e-7)


@settings(max_examples=50, deadline=None)
@given(people=st.lists(judgement, min_size=2, max_size=6), seed=st.integers(0, 999), shift=st.floats(-50, 50))
def test_order_common_shifts_and_swapped_sides_change_nothing(people: list, seed: int, shift: float) -> None:
    columns = [torch.tensor(c, dtype=torch.float64) for c in zip(*people, strict=True)]
    rewards = torch.stack(columns[:2], dim=1)
    judged = Comparisons(columns[2], reliability=columns[3], side_bias=columns[4], weight=columns[5])
    total = bradley_terry.loss(rewards, judged, Config()).total
    order = torch.randperm(len(people), generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(bradley_terry.loss(rewards[order], take(judged, order), Config()).total, total)
    assert torch.allclose(bradley_terry.loss(rewards + shift, judged, Config()).total, total)
    swapped = Comparisons(1 - columns[2], columns[3], -columns[4], weight=columns[5])
    assert torch.allclose(bradley_terry.loss(rewards.flip(1), swapped, Config()).total, total)


def test_a_weight_counts_an_answer_that_often() -> None:
    pairs = [(1.0, 0.0), (0.0, 2.0)]
    judged = Comparisons(torch.tensor([1.0, 1.0]), weight=torch.tensor([3.0, 1.0]))
    weighted = bradley_terry.loss(torch.tensor(pairs), judged, Config()).total.item()
    assert weighted == pytest.approx(loss([pairs[0]] * 3 + [pairs[1]], [1.0] * 4), abs=1e-6)


def fitted(wins: list[tuple[int, int]], n: int, eta: float | None = None) -> list[float]:
    """Scores of mean 0 that minimise our loss on (winner, loser) pairs."""
    index = torch.tensor(wins)
    scores = torch.zeros(n, dtype=torch.float64, requires_grad=True)
    reliability = None if eta is None else torch.full((len(wins),), eta, dtype=torch.float64)
    judged = Comparisons(torch.ones(len(wins), dtype=torch.float64), reliability=reliability)
    optimiser = torch.optim.LBFGS([scores], max_iter=500, tolerance_grad=1e-12, tolerance_change=0.0)

    def closure() -> Tensor:
        optimiser.zero_grad()
        total = bradley_terry.loss(scores[index], judged, Config()).total
        total.backward()
        return total

    optimiser.step(closure)  # type: ignore[arg-type]
    return (scores - scores.mean()).tolist()


def test_the_best_scores_are_those_of_choix() -> None:
    mine = fitted(CHOIX_PAIR, 3)
    assert mine == pytest.approx(CHOIX_PAIR_ML, abs=1e-6)
    assert mine == pytest.approx(list(choix.opt_pairwise(3, CHOIX_PAIR, tol=1e-12)), abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_scores_of_random_tournaments_are_those_of_choix(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wins = [(i, j) for i in range(5) for j in range(5) if i != j]  # everyone won once: the maximum is finite
    wins += [tuple(int(x) for x in rng.choice(5, 2, replace=False)) for _ in range(20)]  # type: ignore[misc]
    assert fitted(wins, 5) == pytest.approx(list(choix.ilsr_pairwise(5, wins, tol=1e-12)), abs=1e-6)


def test_the_best_scores_of_wikipedia() -> None:
    wins = [("ABCD".index(a), "ABCD".index(b)) for (a, b), n in WIKIPEDIA_WINS.items() for _ in range(n)]
    strengths = np.exp(fitted(wins, 4))
    assert list(strengths) == pytest.approx(list(WIKIPEDIA_STRENGTHS.values()), abs=1e-5)


def test_an_adversary_teaches_the_same_scores_as_an_honest_person() -> None:
    # whoever always says the contrary (eta 0) reports the losers as winners
    reversed_wins = [(b, a) for a, b in CHOIX_PAIR]
    assert fitted(reversed_wins, 3, eta=0.0) == pytest.approx(CHOIX_PAIR_ML, abs=1e-6)
    mostly = fitted([(b, a) for a, b in CHOIX_PAIR * 5], 3, eta=0.05)
    assert mostly == pytest.approx(fitted(CHOIX_PAIR * 5, 3, eta=0.95), abs=1e-6)


def test_a_coin_teaches_nothing() -> None:
    rewards = torch.tensor([[3.0, 1.0], [-2.0, 8.0]], requires_grad=True)
    judged = Comparisons(torch.tensor([1.0, 0.0]), reliability=torch.full((2,), 0.5))
    total = bradley_terry.loss(rewards, judged, Config()).total
    assert total.item() == pytest.approx(math.log(2))
    assert torch.autograd.grad(total, rewards)[0].abs().max() < 1e-7


def test_accuracy_leaves_ties_out() -> None:
    # d: 1, -1, 2, 3; said: first, first, tie, second: one of three decided answers is foreseen
    pairs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [3.0, 0.0]])
    judged = Comparisons(torch.tensor([1.0, 1.0, 0.5, 0.0]))
    metrics = bradley_terry.loss(pairs, judged, Config()).metrics
    assert metrics["reward/accuracy"].item() == pytest.approx(1 / 3)
    assert not any(value.requires_grad for value in metrics.values())


def test_only_ties_give_no_nan() -> None:
    metrics = bradley_terry.loss(
        torch.tensor([[1.0, 0.0]]), Comparisons(torch.tensor([0.5])), Config()
    ).metrics
    assert all(torch.isfinite(value) for value in metrics.values())


def test_a_model_that_says_nothing_foresees_nothing_whichever_side_won() -> None:
    accuracies = [
        bradley_terry.loss(torch.zeros(1, 2), Comparisons(torch.tensor([p])), Config()).metrics[
            "reward/accuracy"
        ]
        for p in (0.0, 1.0)
    ]
    assert accuracies[0] == accuracies[1]


def test_the_margin_is_negative_where_the_model_is_wrong() -> None:
    metrics = bradley_terry.loss(torch.tensor([[0.0, 2.0]]), Comparisons(torch.ones(1)), Config()).metrics
    assert metrics["reward/margin"].item() == -2
