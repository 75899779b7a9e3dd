"""GAIL's discriminator loss and rewards against probabilities in loops, and by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.algorithms.imitation import gail

logits = st.lists(st.floats(-8, 8), min_size=1, max_size=6)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def entropy(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


@settings(max_examples=80, deadline=None)
@given(expert=logits, policy=logits, coefficient=st.sampled_from([0.0, 1e-3, 0.5]))
def test_the_loss_is_that_of_the_probabilities(
    expert: list[float], policy: list[float], coefficient: float
) -> None:
    d_expert, d_policy = [sigmoid(x) for x in expert], [sigmoid(x) for x in policy]
    nll = -sum(map(math.log, d_expert)) / len(expert) - sum(math.log(1 - d) for d in d_policy) / len(policy)
    spread = 0.5 * (sum(map(entropy, d_expert)) / len(expert) + sum(map(entropy, d_policy)) / len(policy))
    one, two = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (expert, policy))
    loss = gail.loss(one, two, gail.Config(entropy_coef=coefficient))
    assert loss.total.item() == pytest.approx(nll - coefficient * spread, abs=1e-9)
    assert loss.metrics["discriminator/nll"].item() == pytest.approx(nll)
    assert loss.metrics["discriminator/entropy"].item() == pytest.approx(spread)
    right = sum(x > 0 for x in expert) / len(expert) + sum(x <= 0 for x in policy) / len(policy)
    assert loss.metrics["discriminator/accuracy"].item() == pytest.approx(right / 2)
    slope = torch.autograd.grad(loss.parts["nll"], [one, two])
    assert slope[0].tolist() == pytest.approx([-(1 - d) / len(expert) for d in d_expert])
    assert slope[1].tolist() == pytest.approx([d / len(policy) for d in d_policy])


@settings(max_examples=50, deadline=None)
@given(x=st.floats(-8, 8))
def test_rewards_are_those_of_the_probability(x: float) -> None:
    d = sigmoid(x)
    expected = {"-log(1-D)": -math.log(1 - d), "log(D)": math.log(d), "logit": math.log(d / (1 - d))}
    for name, value in expected.items():
        found = gail.reward(torch.tensor([[x]], dtype=torch.float64), gail.Config(reward=name))  # type: ignore[arg-type]
        assert found.item() == pytest.approx(value, abs=1e-9)


def test_by_hand_and_far_out() -> None:
    # who cannot tell: D = 1/2 everywhere, the loss is 2 ln 2, the entropy ln 2
    loss = gail.loss(torch.zeros(3), torch.zeros(2), gail.Config(entropy_coef=0.1))
    assert loss.total.item() == pytest.approx(1.9 * math.log(2))
    far = torch.tensor([[-1e4, 1e4]])
    for name, expected in (("-log(1-D)", [0.0, 1e4]), ("log(D)", [-1e4, 0.0]), ("logit", [-1e4, 1e4])):
        assert gail.reward(far, gail.Config(reward=name))[0].tolist() == expected  # type: ignore[arg-type]
    sure = gail.loss(torch.tensor([1e4]), torch.tensor([-1e4]), gail.Config())
    assert sure.total.item() == 0 and sure.metrics["discriminator/accuracy"] == 1


def test_the_rewards_have_the_signs_they_promise() -> None:
    x = torch.linspace(-5, 5, 11)[None]
    assert (gail.reward(x, gail.Config()) > 0).all()  # staying alive pays
    assert (gail.reward(x, gail.Config(reward="log(D)")) < 0).all()  # being done pays
    for name in ("-log(1-D)", "log(D)", "logit"):
        assert (gail.reward(x, gail.Config(reward=name))[0].diff() > 0).all()  # type: ignore[arg-type]
