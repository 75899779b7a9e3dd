"""DPO against the formula in loops, published numbers, the reference itself, and by hand."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import rubbish
from torch import Tensor

from plaudit.algorithms.preference import dpo
from plaudit.batches import Needs, Pairs, Scores
from plaudit.batches.rows import take

seeds = st.integers(0, 2**20)
configs = st.builds(dpo.Config, beta=st.sampled_from([0.1, 1.0]), label_smoothing=st.sampled_from([0.0, 0.2]))


def random_pairs(seed: int, count: int = 5, weighted: bool = True) -> tuple[Scores, Pairs]:
    generator = torch.Generator().manual_seed(seed)

    def normal() -> Tensor:
        return torch.randn(count, 2, 6, generator=generator, dtype=torch.float64)

    mask = torch.rand(count, 2, 6, generator=generator) < 0.6
    preference = torch.tensor([1.0, 0.0, 0.5, 1.0, 0.0], dtype=torch.float64)[:count]
    weight = torch.rand(count, generator=generator, dtype=torch.float64) + 0.1 if weighted else None
    pairs = Pairs(mask, preference, None, normal() - 1, weight)
    return Scores((normal() - 1).requires_grad_(), normal()), pairs


def slow_loss(new: Scores, pairs: Pairs, config: dpo.Config) -> Tensor:
    """Eq. 7 pair by pair, from probabilities; a tie counts half for either side."""
    assert pairs.ref_logp is not None
    total, weights = torch.zeros((), dtype=torch.float64), 0.0
    for p in range(len(pairs.preference)):
        rewards = []
        for side in range(2):
            log_ratio = torch.zeros((), dtype=torch.float64)
            for t in range(pairs.mask.shape[2]):
                if pairs.mask[p, side, t]:
                    log_ratio = log_ratio + new.logp[p, side, t] - pairs.ref_logp[p, side, t]
            rewards.append(config.beta * log_ratio)
        first = 1 / (1 + torch.exp(rewards[1] - rewards[0]))
        said = float(pairs.preference[p]) * (1 - config.label_smoothing) + config.label_smoothing / 2
        weight = 1.0 if pairs.weight is None else float(pairs.weight[p])
        total = total - weight * (said * first.log() + (1 - said) * (1 - first).log())
        weights += weight
    return total / weights


@settings(max_examples=60, deadline=None)
@given(seed=seeds, config=configs, weighted=st.booleans())
def test_loss_and_gradient_are_those_of_the_loop(seed: int, config: dpo.Config, weighted: bool) -> None:
    new, pairs = random_pairs(seed, weighted=weighted)
    mine, loop = dpo.loss(new, pairs, config).total, slow_loss(new, pairs, config)
    assert mine.item() == pytest.approx(loop.item(), abs=1e-9)
    torch.testing.assert_close(*(torch.autograd.grad(x, new.logp)[0] for x in (mine, loop)))


@settings(max_examples=40, deadline=None)
@given(seed=seeds, config=configs)
def test_padding_is_invisible_and_sides_and_pairs_permute(seed: int, config: dpo.Config) -> None:
    new, pairs = random_pairs(seed)
    assert pairs.ref_logp is not None
    clean = dpo.loss(new, pairs, config)
    logp = rubbish(new.logp.detach(), pairs.mask, seed).requires_grad_()
    dirty = dpo.loss(
        Scores(logp, new.entropy),
        replace(pairs, ref_logp=rubbish(pairs.ref_logp, pairs.mask, seed + 1)),
        config,
    )
    assert torch.equal(clean.total, dirty.total)
    one, two = torch.autograd.grad(clean.total, new.logp)[0], torch.autograd.grad(dirty.total, logp)[0]
    assert torch.equal(one, two)
    flipped = Pairs(pairs.mask.flip(1), 1 - pairs.preference, None, pairs.ref_logp.flip(1), pairs.weight)
    swapped = dpo.loss(Scores(new.logp.flip(1), new.entropy), flipped, config)
    assert swapped.total.item() == pytest.approx(clean.total.item(), abs=1e-12)
    for name in ("rewards/margins", "rewards/accuracies"):
        assert swapped.metrics[name].item() == pytest.approx(clean.metrics[name].item(), abs=1e-12)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    permuted = dpo.loss(take(new, order), take(pairs, order), config)
    assert permuted.total.item() == pytest.approx(clean.total.item(), abs=1e-12)


def published() -> tuple[Scores, Pairs]:
    logp = torch.tensor([[[-0.5], [-0.1]], [[-10.0], [-30.0]], [[-1.0], [-21.0]]])
    ref = torch.tensor([[[-0.5], [-0.1]], [[-10.1], [-20.1]], [[-0.1], [-0.1]]])
    yes = torch.ones(3, 2, 1, dtype=torch.bool)
    return Scores(logp, torch.zeros_like(logp)), Pairs(yes, torch.ones(3), None, ref)


def test_published_numbers() -> None:
    """Margins of 0, 10 and 20 nats, times beta = .1."""
    new, pairs = published()
    for row, expected in enumerate([0.69314718, 0.31326169, 0.12692801]):
        one = torch.tensor([row])
        loss = dpo.loss(take(new, one), take(pairs, one), dpo.Config(beta=0.1))
        assert loss.total.item() == pytest.approx(expected, abs=1e-6)
        assert loss.metrics["rewards/margins"].item() == pytest.approx(float(row), abs=1e-5)
    # chosen .1 * (0, .1, -.9), rejected .1 * (0, -9.9, -20.9)
    metrics = dpo.loss(new, pairs, dpo.Config(beta=0.1)).metrics
    assert metrics["rewards/chosen"].item() == pytest.approx(-0.08 / 3, abs=1e-6)
    assert metrics["rewards/rejected"].item() == pytest.approx(-3.08 / 3, abs=1e-6)
    assert metrics["rewards/accuracies"].item() == pytest.approx(2 / 3)  # a tie is not right


@settings(max_examples=20, deadline=None)
@given(seed=seeds, config=configs)
def test_at_the_reference_the_loss_is_ln_2_and_nothing_is_right(seed: int, config: dpo.Config) -> None:
    _, pairs = random_pairs(seed)
    assert pairs.ref_logp is not None
    loss = dpo.loss(Scores(pairs.ref_logp, pairs.ref_logp), pairs, config)
    assert loss.total.item() == pytest.approx(math.log(2), abs=1e-12)
    for name in ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"):
        assert loss.metrics[name].item() == 0


def test_what_does_not_differ_between_the_sides_changes_nothing() -> None:
    """A part that both answers share, such as a prompt that counts, cancels."""
    new, pairs = random_pairs(3)
    shift = torch.randn(5, 1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    same = replace(pairs, mask=pairs.mask[:, :1].expand(-1, 2, -1))
    moved = dpo.loss(Scores(new.logp + shift, new.entropy), same, dpo.Config())
    assert moved.total.item() == pytest.approx(dpo.loss(new, same, dpo.Config()).total.item(), abs=1e-12)


def test_without_a_reference_is_told_so() -> None:
    new, pairs = random_pairs(0)
    with pytest.raises(ValueError, match="ref_logp"):
        dpo.loss(new, replace(pairs, ref_logp=None), dpo.Config())
    assert dpo.needs(dpo.Config()) == Needs(reference=True)
