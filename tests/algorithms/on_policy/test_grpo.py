"""GRPO and Dr. GRPO against loops from the paper, published numbers, and by hand."""

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import refilled, slow_returns
from torch import Tensor

from plaudit.algorithms.on_policy import grpo
from plaudit.batches import Episodes, Needs, Scores
from plaudit.batches.rows import take
from plaudit.maths.kl import Kl
from tests.algorithms.on_policy.test_rloo import grouped, scores

seeds = st.integers(0, 2**20)
configs = st.builds(
    grpo.Config,
    clip=st.sampled_from([0.05, 0.2]),
    divide_by_spread=st.booleans(),
    per=st.sampled_from(["row", "decision"]),
    kl=st.sampled_from([Kl(where="loss"), Kl(0.3, "loss"), Kl(0.3)]),
    entropy_coef=st.sampled_from([0.0, 0.02]),
)


def slow_advantages(e: Episodes, config: grpo.Config) -> list[float]:
    """Section 4.1.2, row by row."""
    assert e.group is not None
    returns = slow_returns(e, config.kl)
    found, group = [], e.group.tolist()
    for b, mine in enumerate(returns):
        every = [r for i, r in enumerate(returns) if group[i] == group[b]]
        advantage = mine - statistics.fmean(every)
        if config.divide_by_spread:
            advantage /= (statistics.stdev(every) if len(every) > 1 else 0.0) + 1e-4
        found.append(advantage if len(set(every)) > 1 else 0.0)
    return found


def slow_loss(new: Scores, e: Episodes, config: grpo.Config) -> Tensor:
    """Eq. 3 and 4; python chooses the branch of the minimum."""
    assert e.ref_logp is not None
    advantages, rows, everything, others = slow_advantages(e, config), [], [], []
    for b in range(len(e.mask)):
        row = []
        for t in range(e.mask.shape[1]):
            if not e.mask[b, t]:
                continue
            ratio, a = torch.exp(new.logp[b, t] - e.logp[b, t]), advantages[b]
            flat = min(max(ratio.item(), 1 - config.clip), 1 + config.clip)
            kept = ratio * a if ratio.item() * a <= flat * a else torch.tensor(flat * a, dtype=torch.float64)
            row.append(-kept)
            other = -config.entropy_coef * new.entropy[b, t]
            if config.kl.where == "loss":
                log_ratio = e.ref_logp[b, t] - new.logp[b, t]
                other = other + config.kl.coef * (log_ratio.exp() - 1 - log_ratio)
            others.append(other)
        if row:
            rows.append(torch.stack(row).mean())
            everything += row
    policy = torch.stack(rows if config.per == "row" else everything).mean()
    return policy + torch.stack(others).mean()


@settings(max_examples=80, deadline=None)
@given(seed=seeds, config=configs)
def test_loss_and_gradient_are_those_of_the_loop(seed: int, config: grpo.Config) -> None:
    e = grouped(seed)
    new, advantages = scores(e, seed + 1), grpo.advantages(e, config)
    for b, expected in enumerate(slow_advantages(e, config)):
        found = advantages[b]
        assert found[e.mask[b]].tolist() == pytest.approx([expected] * int(e.mask[b].sum()), abs=1e-6)
        assert not found[~e.mask[b]].any()
    mine, loop = grpo.loss(new, e, advantages, config).total, slow_loss(new, e, config)
    assert mine.item() == pytest.approx(loop.item(), abs=1e-6)
    one, two = (torch.autograd.grad(x, new.logp)[0] for x in (mine, loop))
    torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, config=configs)
def test_padding_is_invisible_and_rows_permute(seed: int, config: grpo.Config) -> None:
    e = grouped(seed)
    new, advantages, dirty = scores(e, seed + 1), grpo.advantages(e, config), refilled(e, seed + 2)
    assert torch.equal(grpo.advantages(dirty, config), advantages)
    one, two = grpo.loss(new, e, advantages, config), grpo.loss(new, dirty, advantages, config)
    assert torch.equal(one.total, two.total)
    for name, value in one.metrics.items():
        assert torch.equal(value, two.metrics[name]) and not value.requires_grad, name
    assert torch.equal(
        torch.autograd.grad(one.total, new.logp)[0], torch.autograd.grad(two.total, new.logp)[0]
    )
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    moved = take(e, order)
    assert torch.allclose(grpo.advantages(moved, config), advantages[order], atol=1e-6)
    again = grpo.loss(take(new, order), moved, advantages[order], config)
    assert again.total.item() == pytest.approx(one.total.item(), abs=1e-9)


def four(rewards: list[float], decisions: int = 1) -> Episodes:
    """One group of rows of so many decisions, paid at the last."""
    x, yes = torch.zeros(len(rewards), decisions), torch.ones(len(rewards), decisions, dtype=torch.bool)
    last = torch.zeros_like(yes)
    last[:, -1] = True
    paid = x.clone()
    paid[:, -1] = torch.tensor(rewards)
    return Episodes(x, paid, last, last, yes, group=torch.zeros(len(rewards), dtype=torch.long))


def test_published_advantages() -> None:
    sign = torch.tensor([1.0, -1.0, -1.0, 1.0])[:, None].expand(4, 2)
    e = four([1.0, 0.0, 0.0, 1.0], 2)
    torch.testing.assert_close(grpo.advantages(e, grpo.Config()), 0.86587543 * sign)
    torch.testing.assert_close(grpo.advantages(e, grpo.Config(divide_by_spread=False)), 0.5 * sign)


@pytest.mark.parametrize("score", [0.0, 0.1, -3.3, 1e4])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_group_of_one_mind_teaches_nothing(score: float, count: int) -> None:
    e = four([score] * count)
    for config in (grpo.Config(), grpo.Config(divide_by_spread=False)):
        advantages = grpo.advantages(e, config)
        assert not advantages.any()
        logp = torch.zeros(count, 1, requires_grad=True)
        loss = grpo.loss(Scores(logp, torch.zeros(count, 1)), e, advantages, config)
        assert not torch.autograd.grad(loss.total, logp)[0].any()


def test_rows_and_decisions_weigh_by_hand() -> None:
    # rows of one and three decisions with advantages 1 and -1, ratio 1: by rows (-1 + 1) / 2, by decisions (-1 + 3) / 4
    mask = torch.tensor([[True, False, False], [True, True, True]])
    x = torch.zeros(2, 3)
    e = Episodes(x, x, mask, mask, mask, group=torch.zeros(2, dtype=torch.long))
    advantages = torch.tensor([[1.0, 0, 0], [-1, -1, -1]])
    for per, expected in (("row", 0.0), ("decision", 0.5)):
        loss = grpo.loss(Scores(x, x), e, advantages, grpo.Config(per=per))  # type: ignore[arg-type]
        assert loss.total.item() == pytest.approx(expected)


def test_clipping_and_the_distance_by_hand() -> None:
    # ratio e > 1.2, advantage 1: -1.2 and flat; k3 to a reference half as likely as now: 1/2 - 1 + ln 2 = .193147
    yes, x = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1)
    e = Episodes(x, x, yes, yes, yes, ref_logp=torch.full((1, 1), 1 - math.log(2)))
    logp = torch.ones(1, 1, requires_grad=True)
    loss = grpo.loss(Scores(logp, x), e, torch.ones(1, 1), grpo.Config(kl=Kl(2.0, "loss")))
    assert loss.parts["policy"].item() == pytest.approx(-1.2)
    assert loss.parts["kl"].item() == pytest.approx(2 * 0.193147, abs=1e-6)
    assert loss.metrics["policy/clipfrac_avg"] == 1
    (slope,) = torch.autograd.grad(loss.total, logp)
    assert slope.item() == pytest.approx(2 * (1 - 0.5))  # of the distance alone


def test_what_it_needs() -> None:
    assert grpo.needs(grpo.Config()) == Needs(unit="episodes", group=2)
    assert grpo.needs(grpo.Config(kl=Kl(0.1, "loss"))).reference
