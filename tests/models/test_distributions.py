"""Distributions over actions against torch.distributions and against counting."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.models.distributions import (
    FLOOR,
    Bernoulli,
    Categorical,
    Gaussian,
    MultiCategorical,
    StateDependentGaussian,
    weights,
)

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


@settings(max_examples=40, deadline=None)
@given(seed=seeds, choices=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_several_choices_are_independent(seed: int, choices: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, sum(choices), generator=generator)
    actions = torch.stack([torch.randint(n, (3,), generator=generator) for n in choices], dim=-1)
    logp, entropy = MultiCategorical(logits, tuple(choices)).scores(actions)
    for row in range(3):
        start, wanted, spread = 0, 0.0, 0.0
        for k, n in enumerate(choices):
            one = torch.distributions.Categorical(logits=logits[row, start : start + n])
            wanted += one.log_prob(actions[row, k]).item()
            spread += one.entropy().item()
            start += n
        assert logp[row].item() == pytest.approx(wanted, abs=1e-5)
        assert entropy[row].item() == pytest.approx(spread, abs=1e-5)


def test_several_choices_sum_to_one_and_are_drawn_as_often() -> None:
    one = MultiCategorical(torch.tensor([0.0, 1.0, -1.0, 0.5, 2.0]), (2, 3))
    every = torch.tensor([[i, j] for i in range(2) for j in range(3)])
    p = MultiCategorical(one.logits.expand(6, 5), (2, 3)).scores(every)[0].exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-6)
    many = MultiCategorical(one.logits.expand(50_000, 5), (2, 3)).sample(torch.Generator().manual_seed(1))
    counts = (3 * many[:, 0] + many[:, 1]).bincount(minlength=6)
    assert ((counts - 50_000 * p) ** 2 / (50_000 * p)).sum().item() < 20.5  # P(chi^2(5) > 20.5) = .001
    assert one.mode().tolist() == [1, 2]


@settings(max_examples=40, deadline=None)
@given(seed=seeds, switches=st.integers(1, 6), scale=st.sampled_from([0.1, 3.0, 60.0]))
def test_switches_are_those_of_torch(seed: int, switches: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = (scale * torch.randn(4, switches, generator=generator)).requires_grad_()
    actions = torch.randint(2, (4, switches), generator=generator)
    oracle = torch.distributions.Bernoulli(logits=logits.detach().double())
    logp, entropy = Bernoulli(logits).scores(actions)
    assert torch.allclose(logp.double(), oracle.log_prob(actions.double()).sum(-1), atol=1e-4, rtol=1e-5)
    assert torch.allclose(entropy.double(), oracle.entropy().sum(-1), atol=1e-4)
    (logp + entropy).sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_switches_are_drawn_as_often() -> None:
    logits = torch.tensor([-2.0, 0.0, 1.0])
    drawn = Bernoulli(logits.expand(50_000, 3)).sample(torch.Generator().manual_seed(0))
    assert torch.allclose(drawn.float().mean(0), logits.sigmoid(), atol=0.01)
    assert Bernoulli(logits).mode().tolist() == [0, 0, 1]


@settings(max_examples=60, deadline=None)
@given(seed=seeds, actions=st.integers(1, 7), scale=st.sampled_from([0.1, 1.0, 50.0]))
def test_masked_is_the_distribution_over_the_legal_alone(seed: int, actions: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = (scale * torch.randn(5, actions, generator=generator)).requires_grad_()
    legal = torch.rand(5, actions, generator=generator) < 0.5
    legal[torch.arange(5), torch.randint(actions, (5,), generator=generator)] = True
    masked = Categorical(logits).among(legal)
    chosen = masked.sample(generator)
    logp, entropy = masked.scores(chosen)
    for row in range(5):
        alone = legal[row].nonzero().flatten()
        oracle = torch.distributions.Categorical(logits=logits[row, alone].detach())
        place = alone.tolist().index(int(chosen[row]))  # never an illegal one
        assert logp[row].item() == pytest.approx(oracle.log_prob(torch.tensor(place)).item(), abs=1e-4)
        assert entropy[row].item() == pytest.approx(oracle.entropy().item(), abs=1e-4)
        assert int(masked.mode()[row]) == alone[logits[row, alone].argmax()]
    (logp + entropy).sum().backward()
    assert torch.isfinite(logits.grad).all() and (logits.grad[~legal] == 0).all()


def test_an_illegal_action_has_no_probability() -> None:
    legal = torch.tensor([[True, False, True]])
    logp, _ = Categorical(torch.zeros(1, 3)).among(legal).scores(torch.tensor([1]))
    assert logp.item() == -math.inf


def test_rounding_draws_nothing_behind_the_last_legal_action(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 the probabilities of 1000 actions sum to a little less than 1, and a draw may lie above that."""
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape[0], 1 - 2**-24))
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        legal = torch.ones(1, 1000, dtype=torch.bool)
        legal[0, 900:] = False
        drawn = Categorical(torch.randn(1, 1000, generator=generator)).among(legal).sample(generator)
        assert drawn.item() == 899


def test_masks_of_several_choices_lie_side_by_side() -> None:
    one = MultiCategorical(torch.tensor([[3.0, 0.0, 0.0, 1.0, 2.0]]), (2, 3))
    masked = one.among(torch.tensor([[False, True, True, True, False]]))
    assert masked.mode().tolist() == [[1, 1]]
    logp, entropy = masked.scores(torch.tensor([[1, 0]]))
    legal = torch.distributions.Categorical(logits=torch.tensor([0.0, 1.0]))
    assert logp.item() == pytest.approx(
        legal.log_prob(torch.tensor(0)).item(), abs=1e-6
    )  # the first is certain
    assert entropy.item() == pytest.approx(legal.entropy().item(), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, features=st.integers(1, 5), dimensions=st.integers(1, 3))
def test_state_dependent_noise_by_loops(seed: int, features: int, dimensions: int) -> None:
    """The action is mean_a + sum_f z_f W_fa with W_fa ~ N(0, sigma_fa^2): its variance is sum_f z_f^2 sigma_fa^2."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(4, dimensions, generator=generator)
    z = torch.randn(4, features, generator=generator)
    log_std = torch.randn(features, dimensions, generator=generator) - 1
    actions = mean + torch.randn(4, dimensions, generator=generator)
    logp, entropy = StateDependentGaussian(mean, z, log_std).scores(actions)
    for row in range(4):
        total, spread = 0.0, 0.0
        for a in range(dimensions):
            variance = FLOOR + sum(
                z[row, f].item() ** 2 * math.exp(log_std[f, a].item()) ** 2 for f in range(features)
            )
            away = actions[row, a].item() - mean[row, a].item()
            total -= away**2 / (2 * variance) + math.log(2 * math.pi * variance) / 2
            spread += math.log(2 * math.pi * math.e * variance) / 2
        assert logp[row].item() == pytest.approx(total, rel=1e-3, abs=1e-3)
        assert entropy[row].item() == pytest.approx(spread, rel=1e-4, abs=1e-4)


def test_state_dependent_noise_is_one_number_per_state_until_it_is_drawn_anew() -> None:
    log_std = torch.tensor([[0.0, -1.0], [-0.5, 0.3]])
    w = weights(log_std, (3,), torch.Generator().manual_seed(0))
    z = torch.tensor([[1.0, -2.0]]).expand(3, 2)
    one = StateDependentGaussian(torch.zeros(3, 2), z, log_std)
    for row in range(3):  # each environment has weights of its own
        for a in range(2):
            noise = sum(z[row, f].item() * w[row, f, a].item() for f in range(2))
            assert one.perturbed(w)[row, a].item() == pytest.approx(noise, abs=1e-6)
    assert torch.equal(one.perturbed(w), one.perturbed(w)) and len(one.perturbed(w)[:, 0].unique()) == 3
    many = StateDependentGaussian(torch.zeros(60_000, 2), z[:1].expand(60_000, 2), log_std)
    drawn = many.sample(torch.Generator().manual_seed(1))
    assert torch.allclose(drawn.var(0), many.variance[0], rtol=0.03)
    assert torch.equal(many.mode(), many.mean)


def test_only_choices_have_masks() -> None:
    legal = torch.ones(1, 2, dtype=torch.bool)
    for one in (
        Gaussian(torch.zeros(1, 2), torch.zeros(2)),
        Bernoulli(torch.zeros(1, 2)),
        StateDependentGaussian(torch.zeros(1, 2), torch.zeros(1, 3), torch.zeros(3, 2)),
    ):
        with pytest.raises(NotImplementedError, match="no mask"):
            one.among(legal)
