"""RLOO against loops over rows and groups, by exact enumeration of a small world, and by hand."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import random_episodes, refilled, slow_returns
from torch import Tensor

from plaudit.algorithms.on_policy import rloo
from plaudit.batches import Episodes, Needs, Scores
from plaudit.batches.rows import take
from plaudit.maths.kl import Kl

seeds = st.integers(0, 2**20)
configs = st.builds(
    rloo.Config,
    kl=st.sampled_from([Kl(), Kl(0.3), Kl(0.3, "loss")]),
    entropy_coef=st.sampled_from([0.0, 0.02]),
)


def grouped(seed: int) -> Episodes:
    """Six rows, each a whole episode, in groups of three and two; one is alone."""
    e = replace(random_episodes(seed, rows=6), values=None, next_values=None)
    return replace(e, group=torch.tensor([4, 1, 1, 4, 9, 4]), discount=0.9)


def scores(e: Episodes, seed: int) -> Scores:
    generator = torch.Generator().manual_seed(seed)
    noise = 0.3 * torch.randn(*e.logp.shape, 2, generator=generator, dtype=e.logp.dtype)
    return Scores((e.logp + noise[..., 0]).requires_grad_(), (1 + noise[..., 1]).requires_grad_())


def slow_loss(new: Scores, e: Episodes, config: rloo.Config) -> Tensor:
    """Eq. 7: one action is a whole row, its baseline the mean return of the others of its group."""
    assert e.group is not None and e.ref_logp is not None
    returns, group = slow_returns(e, config.kl), e.group.tolist()
    rows, entropies, distances = [], [], []
    for b in range(len(group)):
        others = [r for i, r in enumerate(returns) if group[i] == group[b] and i != b]
        advantage = returns[b] - sum(others) / len(others) if others else 0.0
        logp = torch.zeros((), dtype=torch.float64)
        for t in range(e.mask.shape[1]):
            if e.mask[b, t]:
                logp = logp + new.logp[b, t]
                entropies.append(new.entropy[b, t])
                log_ratio = e.ref_logp[b, t] - new.logp[b, t]
                distances.append(log_ratio.exp() - 1 - log_ratio)
        if e.mask[b].any():
            rows.append(-advantage * logp)
    loss = sum(rows) / len(rows) - config.entropy_coef * sum(entropies) / len(entropies)
    if config.kl.where == "loss":
        loss = loss + config.kl.coef * sum(distances) / len(distances)
    return torch.as_tensor(loss)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, config=configs)
def test_loss_and_gradient_are_those_of_the_loop(seed: int, config: rloo.Config) -> None:
    e = grouped(seed)
    new = scores(e, seed + 1)
    mine = rloo.loss(new, e, rloo.advantages(e, config), config).total
    loop = slow_loss(new, e, config)
    assert mine.item() == pytest.approx(loop.item(), abs=1e-9)
    for a, b in zip(
        torch.autograd.grad(mine, [new.logp, new.entropy], allow_unused=True),
        torch.autograd.grad(loop, [new.logp, new.entropy], allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(
            torch.zeros_like(new.logp) if a is None else a,
            torch.zeros_like(new.logp) if b is None else b,
            atol=1e-9,
            rtol=0,
        )


@settings(max_examples=40, deadline=None)
@given(seed=seeds, config=configs)
def test_padding_is_invisible_and_rows_permute(seed: int, config: rloo.Config) -> None:
    e = grouped(seed)
    new, advantages, dirty = scores(e, seed + 1), rloo.advantages(e, config), refilled(e, seed + 2)
    assert torch.equal(rloo.advantages(dirty, config), advantages)
    one, two = rloo.loss(new, e, advantages, config), rloo.loss(new, dirty, advantages, config)
    assert torch.equal(one.total, two.total)
    assert torch.equal(
        torch.autograd.grad(one.total, new.logp)[0], torch.autograd.grad(two.total, new.logp)[0]
    )
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    moved = take(e, order)
    assert torch.allclose(rloo.advantages(moved, config), advantages[order], atol=1e-9)
    again = rloo.loss(take(new, order), moved, advantages[order], config)
    assert again.total.item() == pytest.approx(one.total.item(), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, constant=st.floats(-100, 100))
def test_a_constant_for_all_rows_of_a_group_changes_no_advantage(seed: int, constant: float) -> None:
    e = grouped(seed)
    end = torch.zeros_like(e.rewards)
    for b in range(6):
        kept = e.mask[b].nonzero().flatten()
        if len(kept):
            end[b, kept[-1]] = constant / e.discount ** (len(kept) - 1)
    shifted = replace(e, rewards=e.rewards + end)
    present = e.mask.any(dim=1)
    whole = take(e, present.nonzero().flatten()), take(shifted, present.nonzero().flatten())
    found = [rloo.advantages(one, rloo.Config()) for one in whole]
    assert torch.allclose(*found, atol=1e-6)


def test_published_advantages_at_every_decision() -> None:
    # R = 1, 0, 0, 1, paid at the end of two decisions: +-.66666667 at both
    rewards = torch.tensor([[0.0, 1.0], [0, 0], [0, 0], [0, 1]])
    yes, x = torch.ones(4, 2, dtype=torch.bool), torch.zeros(4, 2)
    last = torch.tensor([[False, True]] * 4)
    e = Episodes(x, rewards, last, last, yes, group=torch.zeros(4, dtype=torch.long))
    found = rloo.advantages(e, rloo.Config())
    expected = 2 / 3 * torch.tensor([[1.0, 1.0], [-1, -1], [-1, -1], [1, 1]])
    torch.testing.assert_close(found, expected)
    # log pi summed over a row: -1.5, -3, ...; by hand -(2/3)(-1.5 + 3 + 3 - 1.5) / 4 = -.5
    logp = torch.tensor([[-0.5, -1.0], [-1, -2], [-1, -2], [-0.5, -1]])
    assert rloo.loss(Scores(logp, x), e, found, rloo.Config()).total.item() == pytest.approx(-0.5)


def test_the_expected_gradient_is_that_of_the_expected_return() -> None:
    """Exactly, over all pairs of answers: a row's baseline does not depend on it."""
    theta = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64, requires_grad=True)
    rewards = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    p, expected = theta.softmax(0), torch.zeros(3, dtype=torch.float64)
    (truth,) = torch.autograd.grad((p * rewards).sum(), theta, retain_graph=True)
    yes = torch.ones(2, 1, dtype=torch.bool)
    for i in range(3):
        for j in range(3):
            chosen = torch.tensor([i, j])
            logp = theta.log_softmax(0)[chosen][:, None]
            e = Episodes(
                logp.detach(), rewards[chosen][:, None], yes, yes, yes, group=torch.zeros(2, dtype=torch.long)
            )
            loss = rloo.loss(
                Scores(logp, torch.zeros_like(logp)), e, rloo.advantages(e, rloo.Config()), rloo.Config()
            )
            (gradient,) = torch.autograd.grad(loss.total, theta, retain_graph=True)
            expected -= (p[i] * p[j]).detach() * gradient
    assert torch.allclose(expected, truth, atol=1e-12)


def test_what_it_needs() -> None:
    assert rloo.needs(rloo.Config()) == Needs(unit="episodes", group=2, epochs=1)
    assert rloo.needs(rloo.Config(others_at_least=3, kl=Kl(0.1))) == Needs(
        reference=True, unit="episodes", group=4, epochs=1
    )
