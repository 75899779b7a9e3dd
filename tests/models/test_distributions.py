"""Distributions over actions against torch.distributions and against counting."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.models.distributions import Categorical, Gaussian

seeds = st.integers(0, 2**20)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, actions=st.integers(1, 9), scale=st.sampled_from([0.1, 1.0, 30.0]))
def test_categorical_scores_are_those_of_torch(seed: int, actions: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(4, actions, generator=generator)
    chosen = torch.randint(actions, (4,), generator=generator)
    oracle = torch.distributions.Categorical(logits=logits)
    logp, entropy = Categorical(logits).scores(chosen)
    assert torch.allclose(logp, oracle.log_prob(chosen), atol=1e-5)
    assert torch.allclose(entropy, oracle.entropy(), atol=1e-5)
    assert (entropy > -1e-6).all() and (entropy <= math.log(actions) + 1e-5).all()


def test_uniform_logits_have_the_entropy_log_n() -> None:
    assert Categorical(torch.zeros(1, 50257)).scores(torch.zeros(1, dtype=torch.long))[
        1
    ].item() == pytest.approx(10.8249, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, dimensions=st.integers(1, 6))
def test_gaussian_scores_are_the_sum_over_dimensions_of_torch(seed: int, dimensions: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mean, log_std = (
        torch.randn(5, dimensions, generator=generator),
        torch.randn(dimensions, generator=generator),
    )
    actions = mean + torch.randn(5, dimensions, generator=generator)
    oracle = torch.distributions.Normal(mean, log_std.exp().expand_as(mean))
    logp, entropy = Gaussian(mean, log_std).scores(actions)
    assert torch.allclose(logp, oracle.log_prob(actions).sum(-1), rtol=1e-4, atol=1e-4)
    assert torch.allclose(entropy, oracle.entropy().sum(-1), atol=1e-5)


def test_gaussian_by_hand() -> None:
    # standard normal in two dimensions at (1, 2): -(1 + 4)/2 - ln 2 pi = -2.5 - 1.8379; entropy 2 * 1.4189
    logp, entropy = Gaussian(torch.zeros(1, 2), torch.zeros(2)).scores(torch.tensor([[1.0, 2.0]]))
    assert logp.item() == pytest.approx(-4.3379, abs=1e-4)
    assert entropy.item() == pytest.approx(2.8379, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_categorical_frequencies(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    n, logits = 100_000, torch.tensor([0.0, -1.0, 2.0, -6.0, 0.5])
    counts = Categorical(logits.expand(n, 5)).sample(generator).bincount(minlength=5)
    expected = n * logits.softmax(0)
    chi_square = ((counts - expected) ** 2 / expected).sum().item()
    assert chi_square < 18.5  # P(chi^2 with 4 degrees of freedom > 18.5) = .001


def test_impossible_actions_are_never_drawn() -> None:
    logits = torch.tensor([-1e8, 0.0, -1e8, 1.0, -1e8]).expand(20_000, 5)
    drawn = Categorical(logits).sample(torch.Generator().manual_seed(0))
    assert set(drawn.unique().tolist()) == {1, 3}
    logp, entropy = Categorical(logits).scores(drawn)
    legal = torch.distributions.Categorical(logits=torch.tensor([0.0, 1.0]))
    assert torch.isfinite(logp).all()
    assert torch.allclose(entropy, legal.entropy().expand(20_000), atol=1e-5)  # over what is legal only


def test_gaussian_moments() -> None:
    mean, log_std = torch.tensor([1.0, -2.0]), torch.tensor([0.0, -1.0])
    drawn = Gaussian(mean.expand(50_000, 2), log_std).sample(torch.Generator().manual_seed(0))
    assert torch.allclose(drawn.mean(0), mean, atol=0.02)
    assert torch.allclose(drawn.std(0), log_std.exp(), rtol=0.02)


def test_the_generator_alone_decides() -> None:
    before = torch.get_rng_state()
    for distribution in (Categorical(torch.zeros(50, 4)), Gaussian(torch.zeros(50, 4), torch.zeros(4))):
        one, two = (distribution.sample(torch.Generator().manual_seed(3)) for _ in range(2))
        assert torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), before)


def test_modes() -> None:
    assert Categorical(torch.tensor([[0.0, 3.0, 1.0]])).mode().tolist() == [1]
    assert Gaussian(torch.tensor([[0.5, -1.0]]), torch.zeros(2)).mode().tolist() == [[0.5, -1.0]]
