"""Reliability, side bias and leniency: the posterior by finite differences, the order of simulated people, a save."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from plaudit.batches import Comparisons, Rankings, Ratings
from plaudit.likelihoods import bradley_terry, plackett_luce, rating
from plaudit.rewards.learned.people import People, PeopleConfig

PLAIN = bradley_terry.Config()


def people(*names: str, **config: Any) -> People:
    known = People(PeopleConfig(**config))
    known.meet(names)
    return known


def prior_mode(reliable: float, unreliable: float) -> float:
    return (reliable - 1) / (reliable + unreliable - 2)


def test_everybody_begins_at_the_mode_of_the_prior() -> None:
    known = people("ann", "bob")
    for values in known.report().values():
        assert values["reliability"] == pytest.approx(prior_mode(8, 2), abs=1e-6)
        assert values["side_bias"] == values["leniency"] == 0
    # with no answers at all the posterior is the prior, and its gradient at the mode is 0
    (slope,) = torch.autograd.grad(known._prior(), known.values)
    assert slope.abs().max() < 1e-5


def slow_prior(values: Tensor, config: PeopleConfig) -> float:
    """-log Beta(eta; a, b) - log N(bias; 0, sd), but for constants, of every person."""
    total = 0.0
    for logit, side, leniency in values.tolist():
        eta = 1 / (1 + math.exp(-logit))
        total -= (config.reliable - 1) * math.log(eta) + (config.unreliable - 1) * math.log(1 - eta)
        total += (side**2 + leniency**2) / (2 * config.bias**2)
    return total


def test_the_posterior_and_its_gradient_by_finite_differences() -> None:
    known = people("ann", "bob", "cyd", reliable=5.0, unreliable=3.0, bias=0.7)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        known.values.copy_(torch.randn(3, 3, generator=generator))
    known.values.data = known.values.data.double()
    who = torch.tensor([0, 1, 2, 0, 1, -1])
    returns = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    shown = torch.tensor([1.0, -1, 1, 1, 0, 1], dtype=torch.float64)
    pairs = Comparisons(torch.tensor([1.0, 0, 1, 0, 0.5, 1], dtype=torch.float64), shown=shown, person=who)
    marks = Ratings(torch.rand(6, generator=generator, dtype=torch.float64), person=who)

    def posterior() -> Tensor:
        said = known.entering(pairs, differentiable=True), known.entering(marks, differentiable=True)
        return (
            6 * bradley_terry.loss(returns, said[0], PLAIN).total
            + 6 * rating.loss(returns[:, :1], said[1], rating.Config()).total
            + known._prior()
        )

    def slow() -> float:
        total = slow_prior(known.values.detach(), known.config)
        for i in range(6):
            logit, side, leniency = (0.0, 0.0, 0.0) if who[i] < 0 else known.values[who[i]].tolist()
            eta = 1.0 if who[i] < 0 else 1 / (1 + math.exp(-logit))
            for d, u in (
                (float(returns[i, 0] - returns[i, 1]) + side * float(shown[i]), float(pairs.preference[i])),
                (float(returns[i, 0]) + leniency, float(marks.value[i])),
            ):
                p = 1 / (1 + math.exp(-d))
                yes, no = eta * p + (1 - eta) * (1 - p), eta * (1 - p) + (1 - eta) * p
                total -= u * math.log(yes) + (1 - u) * math.log(no)
        return total

    assert posterior().item() == pytest.approx(slow(), abs=1e-6)
    (gradient,) = torch.autograd.grad(posterior(), known.values)
    for k in range(3):
        for j in range(3):
            found = []
            for sign in (1, -1):
                with torch.no_grad():
                    known.values[k, j] += sign * 1e-5
                found.append(slow())
                with torch.no_grad():
                    known.values[k, j] -= sign * 1e-5
            assert gradient[k, j].item() == pytest.approx((found[0] - found[1]) / 2e-5, abs=1e-4)


def answers(
    count: int, reliability: float, side: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """(returns, who is said to be better, which was shown first) of somebody."""
    returns = 2 * torch.randn(count, 2, generator=generator)
    shown = torch.where(torch.rand(count, generator=generator) < 0.5, 1.0, -1.0)
    p = (returns[:, 0] - returns[:, 1] + side * shown).sigmoid()
    p = reliability * p + (1 - reliability) * (1 - p)
    return returns, (torch.rand(count, generator=generator) < p).float(), shown


def test_simulated_people_are_put_in_order() -> None:
    truth = {
        "sure": (0.99, 0.0),
        "fair": (0.8, 0.0),
        "coin": (0.5, 0.0),
        "foe": (0.05, 0.0),
        "left": (0.99, 1.5),
    }
    known, generator = people(*truth), torch.Generator().manual_seed(1)
    found = [answers(300, *one, generator) for one in truth.values()]
    returns, said, shown = (torch.cat([one[i] for one in found]) for i in range(3))
    who = torch.arange(5).repeat_interleave(300)
    pairs = Comparisons(said, shown=shown, person=who)
    for _ in range(300):
        entering = known.entering(pairs, differentiable=True)
        known.step(1500 * bradley_terry.loss(returns, entering, PLAIN).parts["nll"])
    report = known.report()
    order = [report[name]["reliability"] for name in ("sure", "fair", "coin", "foe")]
    assert order == sorted(order, reverse=True)
    assert order == pytest.approx([0.99, 0.8, 0.5, 0.05], abs=0.12)
    assert report["left"]["side_bias"] > 0.8 > 0.4 > abs(report["sure"]["side_bias"])
    assert report["left"]["reliability"] > 0.9


def test_lenience_is_of_ratings_and_side_bias_of_comparisons() -> None:
    known = people("ann", "bob")
    with torch.no_grad():
        known.values.copy_(torch.tensor([[0.0, 1.0, 2.0], [3.0, -1.0, -2.0]]))
    who = torch.tensor([1, 0, -1])
    pairs = known.entering(Comparisons(torch.ones(3), shown=torch.tensor([1.0, -1.0, 1.0]), person=who))
    assert isinstance(pairs, Comparisons) and pairs.side_bias is not None and pairs.reliability is not None
    assert pairs.side_bias.tolist() == [-1.0, -1.0, 0.0]
    assert pairs.reliability.tolist() == pytest.approx([0.952574, 0.5, 1.0], abs=1e-6)
    marks = known.entering(Ratings(torch.ones(3), person=who))
    assert (
        isinstance(marks, Ratings)
        and marks.leniency is not None
        and marks.leniency.tolist() == [-2.0, 2.0, 0.0]
    )
    orders = known.entering(Rankings(torch.ones(3, 2), person=who))
    assert isinstance(orders, Rankings) and orders.reliability is not None
    plackett_luce.loss(torch.zeros(3, 2), orders, plackett_luce.Config())
    unknown = known.entering(Comparisons(torch.ones(3), person=who))  # nobody knows which side was which
    assert isinstance(unknown, Comparisons) and unknown.side_bias is not None and not unknown.side_bias.any()


@pytest.mark.parametrize(
    ("estimate", "names", "expected"),
    [
        ("several", (), False), ("several", ("ann",), False), ("several", ("ann", "bob"), True),
        ("always", ("ann",), True), ("always", (), False), ("never", ("ann", "bob"), False),
    ],
)  # fmt: skip
def test_where_nothing_is_estimated_answers_are_as_they_were(
    estimate: Any, names: Any, expected: bool
) -> None:
    known = people(*names, estimate=estimate)
    assert known.estimated is expected
    said = Comparisons(torch.ones(1), person=torch.zeros(1, dtype=torch.long))
    assert (known.entering(said) is said) is not expected
    nameless = Comparisons(torch.ones(1))
    assert known.entering(nameless) is nameless


def test_new_people_join_later_and_the_others_go_on_as_they_were() -> None:
    known, alone = people("ann", "bob"), people("ann", "bob")
    pairs = Comparisons(torch.tensor([1.0, 0.0]), shown=torch.ones(2), person=torch.tensor([0, 1]))
    returns = torch.tensor([[1.0, 0.0], [2.0, 0.0]])

    def go_on(one: People, steps: int) -> None:
        for _ in range(steps):
            one.step(2 * bradley_terry.loss(returns, one.entering(pairs, differentiable=True), PLAIN).total)

    for one in (known, alone):
        go_on(one, 5)
    known.meet(["bob", None, "cyd"])
    assert known.names == ["ann", "bob", "cyd"] and known.numbers(["cyd", None, "ann"]).tolist() == [2, -1, 0]
    assert torch.equal(known.values[:2], alone.values)
    assert known.report()["cyd"]["reliability"] == pytest.approx(prior_mode(8, 2), abs=1e-6)
    go_on(known, 5), go_on(alone, 5)
    torch.testing.assert_close(known.values[:2], alone.values)  # moments and all
    assert known.report()["cyd"]["side_bias"] == 0


def test_a_saved_state_goes_on_bit_for_bit() -> None:
    pairs = Comparisons(torch.tensor([1.0, 0.0]), shown=torch.ones(2), person=torch.tensor([0, 1]))
    returns = torch.tensor([[1.0, 0.0], [2.0, 0.0]])

    def go_on(one: People) -> None:
        for _ in range(3):
            one.step(2 * bradley_terry.loss(returns, one.entering(pairs, differentiable=True), PLAIN).total)

    one = people("ann", "bob")
    go_on(one)
    saved = one.state_dict()
    go_on(one)
    other = People(PeopleConfig())
    other.load_state_dict(saved)
    go_on(other)
    assert (
        torch.equal(one.values, other.values) and other.names == one.names and other.report() == one.report()
    )


@pytest.mark.slow
def test_few_answers_change_little_and_many_much() -> None:
    """Against somebody who always says the opposite: Beta(8, 2) has the weight of ten answers."""
    found = []
    for count in (1, 10, 200):
        known = people("foe", "friend")
        returns = torch.tensor([[5.0, -5.0]]).expand(count, 2)
        pairs = Comparisons(torch.zeros(count), person=torch.zeros(count, dtype=torch.long))
        for _ in range(400):
            known.step(
                count * bradley_terry.loss(returns, known.entering(pairs, differentiable=True), PLAIN).total
            )
        found.append(known.report()["foe"]["reliability"])
        # the mode: (8 - 1) said what they mean, (2 - 1) + count the opposite
        assert found[-1] == pytest.approx(7 / (8 + count), abs=0.02)
        assert known.report()["friend"]["reliability"] == pytest.approx(7 / 8, abs=0.01)
    assert found == sorted(found, reverse=True)
