"""TRPO's surrogate, its KL and the Fisher matrix of that KL against loops, and by hand."""

import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import random_episodes, refilled
from torch import Tensor

from plaudit.algorithms.on_policy import trpo
from plaudit.batches import Episodes, Needs, Scores
from plaudit.maths.advantage import GAE, MonteCarlo
from plaudit.maths.kl import Kl

seeds = st.integers(0, 2**20)
configs = st.builds(
    trpo.Config,
    standardise_advantages=st.booleans(),
    entropy_coef=st.sampled_from([0.0, 0.02]),
    kl=st.sampled_from([Kl(), Kl(0.3), Kl(0.3, "loss")]),
)


def new_scores(e: Episodes, seed: int) -> Scores:
    generator = torch.Generator().manual_seed(seed)
    noise = 0.3 * torch.randn(*e.logp.shape, 3, generator=generator, dtype=e.logp.dtype)
    assert e.values is not None
    return Scores(
        *((x + noise[..., i]).requires_grad_() for i, x in enumerate((e.logp, 1 + 0 * e.logp, e.values)))
    )


def slow_parts(new: Scores, e: Episodes, adv: Tensor, config: trpo.Config) -> tuple[Tensor, Tensor, Tensor]:
    """Surrogate with its penalties, KL and value error, one decision at a time."""
    assert e.values is not None and e.ref_logp is not None and new.values is not None
    chosen = [(b, t) for b in range(e.mask.shape[0]) for t in range(e.mask.shape[1]) if e.mask[b, t]]
    weights = [float(adv[i]) for i in chosen]
    if config.standardise_advantages:
        centre, spread = statistics.fmean(weights), statistics.stdev(weights)
        weights = [(w - centre) / (spread + 1e-8) for w in weights]
    surrogate, distance, value = [], [], []
    for (b, t), a in zip(chosen, weights, strict=True):
        log_ratio = new.logp[b, t] - e.logp[b, t]
        term = -log_ratio.exp() * a - config.entropy_coef * new.entropy[b, t]
        if config.kl.where == "loss":
            to_reference = e.ref_logp[b, t] - new.logp[b, t]
            term = term + config.kl.coef * (to_reference.exp() - 1 - to_reference)
        surrogate.append(term)
        distance.append(log_ratio.exp() - 1 - log_ratio)
        value.append((new.values[b, t] - adv[b, t] - e.values[b, t]) ** 2 / 2)
    return tuple(torch.stack(one).mean() for one in (surrogate, distance, value))  # type: ignore[return-value]


@settings(max_examples=60, deadline=None)
@given(seed=seeds, config=configs)
def test_all_parts_and_their_gradients_are_those_of_the_loop(seed: int, config: trpo.Config) -> None:
    e = random_episodes(seed)
    adv, new = trpo.advantages(e, config), new_scores(e, seed + 1)
    loss = trpo.loss(new, e, adv, config)
    assert loss.kl is not None and loss.value is not None and loss.policy is not None
    mine = loss.total - loss.value, loss.kl, loss.value
    for one, other in zip(mine, slow_parts(new, e, adv, config), strict=True):
        assert one.item() == pytest.approx(other.item(), abs=1e-9)
        inputs = [new.logp, new.entropy, new.values]
        for a, b in zip(*(torch.autograd.grad(x, inputs, retain_graph=True, allow_unused=True) for x in (one, other)),
                        strict=True):  # fmt: skip
            filled = [torch.zeros_like(new.logp) if g is None else g for g in (a, b)]
            torch.testing.assert_close(*filled, atol=1e-9, rtol=0)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, config=configs)
def test_padding_is_invisible(seed: int, config: trpo.Config) -> None:
    e = random_episodes(seed)
    adv, new, dirty = trpo.advantages(e, config), new_scores(e, seed + 1), refilled(e, seed + 2)
    assert torch.equal(trpo.advantages(dirty, config), adv)
    one, two = trpo.loss(new, e, adv, config), trpo.loss(new, dirty, adv, config)
    assert torch.equal(one.total, two.total) and torch.equal(one.kl, two.kl)  # type: ignore[arg-type]
    inputs = [new.logp, new.values]
    for a, b in zip(*(torch.autograd.grad(x.total, inputs) for x in (one, two)), strict=True):  # type: ignore[arg-type]
        assert torch.equal(a, b)


def test_by_hand() -> None:
    # ratios 2 and 1/2, advantages 1 and -1: -(2 - .5) / 2 = -.75; k3 = (1 - ln 2 + -.5 + ln 2) / 2 = .25
    yes, x = torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 2)
    e = Episodes(x, x, yes, yes, yes, values=x, next_values=x)
    new = Scores(torch.tensor([[2.0, 0.5]]).log(), x, torch.tensor([[2.0, 0.0]]))
    loss = trpo.loss(new, e, torch.tensor([[1.0, -1.0]]), trpo.Config(standardise_advantages=False))
    assert loss.policy is not None and loss.kl is not None and loss.value is not None
    assert loss.policy.item() == pytest.approx(-0.75) and loss.kl.item() == pytest.approx(0.25)
    assert loss.value.item() == pytest.approx(0.5)  # errors 1 and 1, halved
    assert loss.total.item() == pytest.approx(-0.25)  # the KL limits, and is not paid for


def test_the_hessian_of_its_kl_is_the_fisher_matrix() -> None:
    """At the old policy, over the exact shares of all actions: diag(p) - p p^T of a softmax."""
    theta = torch.tensor([0.5, -0.3, 0.1, 1.0], dtype=torch.float64)
    p = theta.softmax(0)
    yes = torch.ones(4, 1, dtype=torch.bool)

    def distance(x: Tensor) -> Tensor:
        logp = x.log_softmax(0)[:, None]
        old = theta.log_softmax(0)[:, None]
        # every action once, weighted by how often it is drawn: the mean over decisions, four times too small
        total = torch.zeros((), dtype=torch.float64)
        for i in range(4):
            one = slice(i, i + 1)
            zero = torch.zeros(1, 1, dtype=torch.float64)
            e = Episodes(old[one], zero, yes[one], yes[one], yes[one])
            found = trpo.loss(Scores(logp[one], zero), e, zero, trpo.Config()).kl
            assert found is not None
            total = total + p[i] * found
        return total

    assert distance(theta).item() == 0
    hessian = torch.autograd.functional.hessian(distance, theta)
    assert torch.allclose(torch.as_tensor(hessian), p.diag() - p[:, None] * p[None, :], atol=1e-12)


def test_what_it_needs() -> None:
    assert trpo.needs(trpo.Config()) == Needs(critic=True, step="trust_region")
    config = trpo.Config(discount=0.5, advantage=MonteCarlo(), kl=Kl(0.1))
    assert trpo.needs(config) == Needs(reference=True, step="trust_region", discount=0.5)
    assert trpo.needs(trpo.Config(advantage=GAE(0.5))).critic
