"""PPO against the formulas of the paper one decision at a time, published numbers and a hand calculation."""

import math
import statistics
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import random_episodes, refilled
from torch import Tensor

from plaudit.algorithms.on_policy import ppo
from plaudit.batches import Episodes, Loss, Scores
from plaudit.batches.rows import as_decisions, take
from plaudit.maths.advantage import GAE, MonteCarlo, advantage, with_estimate
from plaudit.maths.constraint import NoLimit, Penalty, StopAt
from plaudit.maths.kl import Kl
from plaudit.maths.returns import returns_to_go

seeds = st.integers(0, 2**20)
plain = ppo.Config(standardise_advantages=False)
configs = st.builds(
    ppo.Config,
    standardise_advantages=st.booleans(),
    clip=st.sampled_from([0.05, 0.2, 0.4]),
    value_clip=st.sampled_from([None, 0.1, 0.5]),
    value_coef=st.sampled_from([0.0, 0.5, 2.0]),
    entropy_coef=st.sampled_from([0.0, 0.01]),
    kl=st.sampled_from([Kl(), Kl(0.3, "loss"), Kl(0.3, "loss", "k2")]),
    constraint=st.sampled_from([NoLimit(), Penalty(0.7), StopAt(0.01)]),
)


def new_scores(e: Episodes, seed: int, spread: float = 0.3) -> Scores:
    """Scores somewhat away from the old ones, ready for gradients."""
    generator = torch.Generator().manual_seed(seed)

    def noise() -> Tensor:
        return spread * torch.randn(e.logp.shape, generator=generator, dtype=e.logp.dtype)

    values = None if e.values is None else (e.values + noise()).requires_grad_()
    return Scores((e.logp + noise()).requires_grad_(), (1 + noise()).requires_grad_(), values)


def slow_loss(new: Scores, e: Episodes, adv: Tensor, config: ppo.Config) -> Tensor:
    """Eq. 7 to 9 one decision at a time; python chooses the branch, so autograd sees only that one."""
    assert e.values is not None and e.ref_logp is not None and new.values is not None
    chosen = [(b, t) for b in range(e.mask.shape[0]) for t in range(e.mask.shape[1]) if e.mask[b, t]]
    weights = [float(adv[i]) for i in chosen]
    if config.standardise_advantages:
        centre, spread = statistics.fmean(weights), statistics.stdev(weights)
        weights = [(w - centre) / (spread + 1e-8) for w in weights]
    losses = []
    for (b, t), a in zip(chosen, weights, strict=True):
        ratio = torch.exp(new.logp[b, t] - float(e.logp[b, t]))
        flat = min(max(ratio.item(), 1 - config.clip), 1 + config.clip)
        surrogate = ratio * a if ratio.item() * a <= flat * a else torch.tensor(flat * a, dtype=torch.float64)
        target = float(adv[b, t]) + float(e.values[b, t])
        error = (new.values[b, t] - target) ** 2
        if config.value_clip is not None:
            old = float(e.values[b, t])
            moved = new.values[b, t] - old
            if abs(moved.item()) > config.value_clip:
                near = (old + math.copysign(config.value_clip, moved.item()) - target) ** 2
                error = error if error.item() >= near else torch.tensor(near, dtype=torch.float64)
        loss = -surrogate + config.value_coef * error / 2 - config.entropy_coef * new.entropy[b, t]
        if isinstance(config.constraint, Penalty):  # KL(old || new): x ~ old, r = new / old
            loss = loss + config.constraint.coefficient * (ratio - 1 - torch.log(ratio))
        log_ratio = float(e.ref_logp[b, t]) - new.logp[b, t]
        distance = log_ratio**2 / 2 if config.kl.estimator == "k2" else torch.exp(log_ratio) - 1 - log_ratio
        loss = loss + config.kl.coef * distance
        losses.append(loss)
    return torch.stack(losses).sum() / len(losses)


def gradients(total: Tensor, new: Scores) -> list[Tensor]:
    inputs = [new.logp, new.entropy] + ([] if new.values is None else [new.values])
    found = torch.autograd.grad(total, inputs, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


@settings(max_examples=60, deadline=None)
@given(seed=seeds, config=configs)
def test_loss_and_gradients_are_those_of_the_loop(seed: int, config: ppo.Config) -> None:
    e = random_episodes(seed, rows=2, columns=5)
    adv = ppo.advantages(e, config)
    new = new_scores(e, seed + 1)
    fast, slow = ppo.loss(new, e, adv, config).total, slow_loss(new, e, adv, config)
    assert fast.item() == pytest.approx(slow.item(), abs=1e-9)
    for mine, loop in zip(gradients(fast, new), gradients(slow, new), strict=True):
        assert torch.allclose(mine, loop, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, config=configs)
def test_padding_is_invisible_to_the_loss_its_gradient_and_its_metrics(seed: int, config: ppo.Config) -> None:
    e = random_episodes(seed)
    adv = ppo.advantages(e, config)
    new = new_scores(e, seed + 1)
    dirty = refilled(e, seed + 2)
    clean_loss = ppo.loss(new, e, adv, config)
    dirty_loss = ppo.loss(new, dirty, adv, config)
    assert torch.equal(ppo.advantages(dirty, config), adv)
    assert torch.equal(clean_loss.total, dirty_loss.total)
    assert clean_loss.metrics.keys() == dirty_loss.metrics.keys()
    for name, value in clean_loss.metrics.items():
        assert torch.equal(value, dirty_loss.metrics[name]), name
    for mine, other in zip(gradients(clean_loss.total, new), gradients(dirty_loss.total, new), strict=True):
        assert torch.equal(mine, other)
        assert torch.equal(mine[~e.mask], torch.zeros_like(mine[~e.mask]))


@settings(max_examples=30, deadline=None)
@given(seed=seeds, config=configs)
def test_rows_permute_and_decisions_may_stand_alone(seed: int, config: ppo.Config) -> None:
    e = random_episodes(seed, rows=4)
    adv = ppo.advantages(e, config)
    new = new_scores(e, seed + 1)
    total = ppo.loss(new, e, adv, config).total.item()
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    permuted = ppo.loss(take(new, order), take(e, order), adv[order], config)
    assert permuted.total.item() == pytest.approx(total, abs=1e-10)
    alone = ppo.loss(as_decisions(new, e.mask), as_decisions(e, e.mask), adv[e.mask].unsqueeze(1), config)
    assert alone.total.item() == pytest.approx(total, abs=1e-10)


def ratios(ratio: list[float], weight: list[float]) -> tuple[Scores, Episodes, Tensor]:
    """One row of decisions with the given probability ratios and advantages; no critic."""
    x, yes = torch.zeros(1, len(ratio)), torch.ones(1, len(ratio), dtype=torch.bool)
    new = Scores(torch.tensor([ratio]).log().requires_grad_(), x)
    return new, Episodes(x, x, yes, yes, yes), torch.tensor([weight])


def test_published_clip_of_three_ratios() -> None:
    # -min(.5*1, .8*1) = -.5; -min(1*-1, 1*-1) = 1; -min(1.5*2, 1.2*2) = -2.4; mean -1.9/3
    for chosen, expected in [([0], -0.5), ([1], 1.0), ([2], -2.4), ([0, 1, 2], -0.63333)]:
        new, e, adv = ratios([[0.5, 1, 1.5][i] for i in chosen], [[1.0, -1.0, 2.0][i] for i in chosen])
        assert ppo.loss(new, e, adv, plain).total.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("ratio", "weight", "expected", "flat"),
    [
        (math.e, 1.0, -1.2, True),
        (1 / math.e, 1.0, -0.367879, False),
        (math.exp(0.1), 1.0, -1.105171, False),
        (1 / math.e, -1.0, 0.8, True),
        (math.e, -1.0, 2.718282, False),
    ],
)
def test_published_sign_table_and_where_the_gradient_is_flat(
    ratio: float, weight: float, expected: float, flat: bool
) -> None:
    new, e, adv = ratios([ratio], [weight])
    loss = ppo.loss(new, e, adv, plain)
    assert loss.total.item() == pytest.approx(expected, abs=1e-6)
    (gradient,) = torch.autograd.grad(loss.total, new.logp)
    assert gradient.item() == pytest.approx(0.0 if flat else -weight * ratio, rel=1e-5)
    outside = not 0.8 <= ratio <= 1.2
    assert loss.metrics["policy/clipfrac_avg"].item() == float(outside)


def test_value_loss_worked_by_hand() -> None:
    # old value 1, advantage 1: target 2. New value 1.5: error .25, loss .125.
    # With a clip of .2 the value counts as 1.2: error .64 > .25, loss .32 and no gradient.
    # Moving away instead, to 0: error 4; clipped .8: error 1.44; the larger is 4, loss 2, gradient -2.
    x, yes = torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool)
    e = Episodes(x, x, yes, yes, yes, values=torch.ones(1, 1), next_values=x)
    for value, clip, expected, slope in [
        (1.5, None, 0.125, -0.5),
        (1.5, 0.2, 0.32, 0.0),
        (0.0, 0.2, 2.0, -2.0),
    ]:
        now = torch.tensor([[value]], requires_grad=True)
        loss = ppo.value_loss(now, e, torch.ones(1, 1), clip)
        assert loss.item() == pytest.approx(expected, abs=1e-6)
        assert torch.autograd.grad(loss, now)[0].item() == pytest.approx(slope, abs=1e-6)


def test_the_critic_learns_from_raw_advantages_even_where_the_policy_sees_them_standardised() -> None:
    e = random_episodes(5)
    adv = ppo.advantages(e, plain)
    new = new_scores(e, 6)
    values = [ppo.loss(new, e, adv, c).metrics["loss/value_avg"] for c in (plain, ppo.Config())]
    assert torch.equal(values[0], values[1])


def test_before_the_first_step_the_ratio_is_one_and_nothing_is_clipped() -> None:
    e = random_episodes(7)
    new = Scores(e.logp.clone().requires_grad_(), torch.ones_like(e.logp), e.values)
    loss = ppo.loss(new, e, ppo.advantages(e, ppo.Config()), ppo.Config())
    assert loss.metrics["val/ratio"] == 1 and loss.metrics["policy/approxkl_avg"] == 0
    assert loss.metrics["policy/clipfrac_avg"] == 0
    assert abs(loss.metrics["loss/policy_avg"].item()) < 1e-9  # standardised advantages have mean zero
    assert all(not value.requires_grad for value in loss.metrics.values())


@settings(max_examples=50, deadline=None)
@given(seed=seeds, constant=st.floats(-100, 100), scale=st.floats(0.1, 50))
def test_a_constant_or_positive_factor_on_all_advantages_changes_no_policy_gradient(
    seed: int, constant: float, scale: float
) -> None:
    e = replace(random_episodes(seed), values=None)
    adv = returns_to_go(e, 0.9)
    new = new_scores(e, seed)
    shifted = torch.where(e.mask, scale * adv + constant, 0.0)
    one, two = (gradients(ppo.loss(new, e, a, ppo.Config()).total, new)[0] for a in (adv, shifted))
    assert torch.allclose(one, two, atol=1e-6)


def test_a_minibatch_of_one_decision_is_no_nan() -> None:
    new, e, adv = ratios([1.0], [3.0])
    assert ppo.loss(new, e, adv, ppo.Config()).total.item() == -3.0


def test_the_kl_price_lowers_the_rewards_the_advantages_are_made_of() -> None:
    e = random_episodes(8)
    assert e.ref_logp is not None
    charged = replace(e, rewards=e.rewards - 0.3 * (e.logp - e.ref_logp))
    config = ppo.Config(kl=Kl(0.3), discount=0.9, advantage=GAE(0.7))
    expected = advantage(charged, 0.9, GAE(0.7))
    assert torch.allclose(ppo.advantages(e, config), expected, atol=1e-12)


def test_stop_at_says_stop_only_beyond_its_limit() -> None:
    e = random_episodes(9)
    new = new_scores(e, 9)
    adv = ppo.advantages(e, ppo.Config())

    def stops(limit: float) -> Loss:
        return ppo.loss(new, e, adv, ppo.Config(constraint=StopAt(limit)))

    moved = stops(0.0).metrics["policy/approxkl_avg"].item()
    assert moved > 0
    assert stops(moved * 0.99).stop and not stops(moved * 1.01).stop
    assert not ppo.loss(new, e, adv, ppo.Config(constraint=Penalty(100.0))).stop


def test_a_price_in_the_loss_without_a_reference_is_told_so() -> None:
    new, e, adv = ratios([1.0], [1.0])
    with pytest.raises(ValueError, match="reference"):
        ppo.loss(new, e, adv, ppo.Config(kl=Kl(0.1, "loss")))
    with pytest.raises(ValueError, match="reference"):
        ppo.advantages(e, ppo.Config(kl=Kl(0.1)))


def test_decisions_monte_carlo_cannot_judge_have_no_weight_in_the_loss() -> None:
    # two episodes of return 5 and 7 that terminate, and two decisions of an episode cut by the rollout
    yes = torch.ones(1, 4, dtype=torch.bool)
    last = torch.tensor([[True, True, False, True]])
    x = torch.zeros(1, 4)
    e = Episodes(
        x, torch.tensor([[5.0, 7.0, 0.0, 0.0]]), torch.tensor([[True, True, False, False]]), last, yes
    )
    config = ppo.Config(advantage=MonteCarlo())
    logp = x.clone().requires_grad_()
    known, advantages = with_estimate(e, ppo.advantages(e, config))
    total = ppo.loss(Scores(logp, x), known, advantages, config).total
    assert torch.autograd.grad(total, logp)[0][0, 2:].tolist() == [0.0, 0.0]
