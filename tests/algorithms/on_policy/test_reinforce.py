"""REINFORCE by enumeration, against loops, against PPO at ratio one, and worked by hand."""

from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from synthetic_episodes import episode_indices, random_episodes, refilled
from torch import Tensor

from plaudit.algorithms.on_policy import ppo, reinforce
from plaudit.algorithms.on_policy.reinforce import CriticQ, ReturnToGo
from plaudit.batches import Episodes, Scores
from plaudit.maths.advantage import GAE, MonteCarlo, with_estimate
from plaudit.maths.kl import Kl

seeds = st.integers(0, 2**20)
weights = st.sampled_from([ReturnToGo(), CriticQ(), GAE(0.8), MonteCarlo()])


def scores(e: Episodes, seed: int) -> Scores:
    generator = torch.Generator().manual_seed(seed)

    def noise() -> Tensor:
        return torch.randn(e.logp.shape, generator=generator, dtype=e.logp.dtype)

    values = None if e.values is None else noise().requires_grad_()
    return Scores((e.logp + 0.1 * noise()).requires_grad_(), noise().requires_grad_(), values)


def slow_weight(e: Episodes, kind: object, discount: float) -> Tensor:
    """What multiplies the log-probability, by the definition of each choice."""
    result = torch.zeros_like(e.rewards)
    for b, columns in episode_indices(e):
        for i, t in enumerate(columns):
            if isinstance(kind, ReturnToGo):
                result[b, t] = sum(discount**k * float(e.rewards[b, u]) for k, u in enumerate(columns[i:]))
            else:
                assert e.next_values is not None
                bootstrap = 0.0 if e.terminated[b, t] else float(e.next_values[b, t])
                result[b, t] = float(e.rewards[b, t]) + discount * bootstrap
    return result


@settings(max_examples=60, deadline=None)
@given(seed=seeds, kind=st.sampled_from([ReturnToGo(), CriticQ()]), critic=st.booleans())
def test_the_return_and_q_multiply_the_log_probability_without_a_baseline(
    seed: int, kind: ReturnToGo | CriticQ, critic: bool
) -> None:
    e = random_episodes(seed)
    if not critic:
        kind, e = ReturnToGo(), replace(e, values=None, next_values=None)
    config = reinforce.Config(
        discount=0.9, weight=kind, standardise_weights=False, entropy_coef=0.02, value_coef=0.3
    )
    new = scores(e, seed + 1)
    e, advantages = with_estimate(
        e, reinforce.advantages(e, config)
    )  # a return is known where an episode ends
    assume(bool(e.mask.any()))
    loss = reinforce.loss(new, e, advantages, config)
    weight, n = slow_weight(e, kind, 0.9), max(1, int(e.mask.sum()))
    expected = torch.zeros((), dtype=torch.float64)
    for b, t in e.mask.nonzero().tolist():
        expected = expected - weight[b, t] * new.logp[b, t] - 0.02 * new.entropy[b, t]
        if new.values is not None:  # the critic is drawn to the return, or to its own look ahead
            expected = expected + 0.3 * 0.5 * (new.values[b, t] - weight[b, t]) ** 2
    expected = expected / n
    assert loss.total.item() == pytest.approx(expected.item(), abs=1e-9)
    inputs = [new.logp, new.entropy] + ([new.values] if new.values is not None else [])
    for mine, loop in zip(
        torch.autograd.grad(loss.total, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        assert torch.allclose(mine, loop, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, kind=weights, standardise=st.booleans())
def test_padding_is_invisible(seed: int, kind: object, standardise: bool) -> None:
    e = random_episodes(seed)
    config = reinforce.Config(weight=kind, standardise_weights=standardise, kl=Kl(0.1))  # type: ignore[arg-type]
    dirty, adv, new = refilled(e, seed + 1), reinforce.advantages(e, config), scores(e, seed + 2)
    torch.testing.assert_close(reinforce.advantages(dirty, config), adv, rtol=0, atol=0, equal_nan=True)
    (dirty, _), (e, adv) = with_estimate(dirty, adv), with_estimate(e, adv)
    one = reinforce.loss(new, e, adv, config)
    two = reinforce.loss(new, dirty, adv, config)
    assert torch.equal(one.total, two.total)
    assert new.values is not None
    inputs = [new.logp, new.values]
    for mine, other in zip(
        torch.autograd.grad(one.total, inputs), torch.autograd.grad(two.total, inputs), strict=True
    ):
        assert torch.equal(mine, other)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, standardise=st.booleans(), lam=st.sampled_from([0.0, 0.9, 1.0]))
def test_ppo_at_ratio_one_has_the_plain_policy_gradient(seed: int, standardise: bool, lam: float) -> None:
    e = random_episodes(seed)
    adv = ppo.advantages(e, ppo.Config(advantage=GAE(lam)))
    logp = e.logp.clone().requires_grad_()
    new = Scores(logp, torch.ones_like(logp), e.values)
    surrogate = ppo.loss(new, e, adv, ppo.Config(standardise_advantages=standardise)).total
    plain = reinforce.loss(new, e, adv, reinforce.Config(standardise_weights=standardise)).total
    (one,), (two,) = torch.autograd.grad(surrogate, logp), torch.autograd.grad(plain, logp)
    assert torch.allclose(one, two, atol=1e-12)


def one_step(actions: list[int], rewards: list[float], theta: Tensor) -> tuple[Scores, Episodes]:
    """Decisions of a bandit, an episode each, under a softmax policy."""
    logp = theta.log_softmax(0)
    chosen = logp[torch.tensor(actions)].unsqueeze(1)
    yes = torch.ones(len(actions), 1, dtype=torch.bool)
    entropy = -(logp.exp() * logp).sum().expand(len(actions), 1)
    return Scores(chosen, entropy), Episodes(
        chosen.detach(), torch.tensor(rewards).unsqueeze(1), yes, yes, yes
    )


@pytest.mark.parametrize("baseline", [0.0, 1.0, -7.0, 100.0])
def test_a_constant_baseline_changes_no_expected_gradient(baseline: float) -> None:
    # probabilities 1/2, 1/4, 1/4: the four decisions 0 0 1 2 are the exact expectation
    theta = torch.tensor([0.5, 0.25, 0.25]).log().requires_grad_()
    rewards = [2.0, 2.0, 4.0, 0.0]
    new, e = one_step([0, 0, 1, 2], [r - baseline for r in rewards], theta)
    config = reinforce.Config(weight=ReturnToGo(), standardise_weights=False)
    (gradient,) = torch.autograd.grad(
        reinforce.loss(new, e, reinforce.advantages(e, config), config).total, theta
    )
    # d E[r] / d theta_i = p_i (r_i - E[r]), E[r] = 2: (0, .25*2, -.25*2); the loss descends its negative
    assert gradient.tolist() == pytest.approx([0.0, -0.5, 0.5], abs=2e-5)


def test_published_number() -> None:
    # A log pi = .5, -1, 3: mean .83333; the loss descends its negative
    x, yes = torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.bool)
    e = Episodes(x, x, yes, yes, yes)
    logp = torch.tensor([[-0.5, -1.0, -1.5]])
    weight = torch.tensor([[-1.0, 1.0, -2.0]])  # products .5, -1, 3
    config = reinforce.Config(standardise_weights=False)
    assert reinforce.loss(Scores(logp, x), e, weight, config).total.item() == pytest.approx(
        -0.83333, abs=1e-5
    )


def test_critic_q_without_a_critic_is_told_so() -> None:
    e = replace(random_episodes(0), values=None, next_values=None)
    with pytest.raises(ValueError, match="critic"):
        reinforce.advantages(e, reinforce.Config(weight=CriticQ()))


def test_decisions_monte_carlo_cannot_judge_have_no_weight_in_the_loss() -> None:
    yes, x = torch.ones(1, 4, dtype=torch.bool), torch.zeros(1, 4)
    ends = torch.tensor([[True, True, False, False]])
    e = Episodes(
        x, torch.tensor([[5.0, 7.0, 0.0, 0.0]]), ends, torch.tensor([[True, True, False, True]]), yes
    )
    config = reinforce.Config(weight=MonteCarlo())
    logp = x.clone().requires_grad_()
    known, advantages = with_estimate(e, reinforce.advantages(e, config))
    total = reinforce.loss(Scores(logp, x), known, advantages, config).total
    assert torch.autograd.grad(total, logp)[0][0, 2:].tolist() == [0.0, 0.0]
