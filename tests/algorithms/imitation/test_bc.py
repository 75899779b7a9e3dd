"""Behaviour cloning: cross-entropy of the demonstrated decisions, and nothing else."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import rubbish
from torch.nn.functional import cross_entropy

from plaudit.algorithms.imitation import bc
from plaudit.batches import Demonstrations, Scores


def test_by_hand() -> None:
    # log-probabilities ln 1/2, ln 1/8 and a prompt position: mean of .6931 and 2.0794 is 1.3863 = ln 4
    new = Scores(torch.tensor([[0.5, 0.125, 0.9]]).log(), torch.tensor([[1.0, 2.0, 50.0]]))
    shown = Demonstrations(torch.tensor([[True, True, False]]), None)
    assert float(bc.loss(new, shown, bc.Config()).total) == pytest.approx(math.log(4))
    loss = bc.loss(new, shown, bc.Config(entropy_coef=0.1))  # mean entropy 1.5
    assert float(loss.total) == pytest.approx(math.log(4) - 0.15)
    assert float(loss.metrics["loss/nll_avg"]) == pytest.approx(math.log(4))
    assert float(loss.metrics["policy/entropy_avg"]) == pytest.approx(1.5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999))
def test_equals_torch_cross_entropy_with_the_prompt_ignored(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 5, 7, generator=generator, requires_grad=True)
    labels = torch.randint(7, (3, 5), generator=generator)
    mask = torch.rand(3, 5, generator=generator) < 0.6
    mask[0, 0] = True
    logp = logits.log_softmax(-1)
    new = Scores(logp.gather(-1, labels.unsqueeze(-1)).squeeze(-1), -(logp.exp() * logp).sum(-1))
    mine = bc.loss(new, Demonstrations(mask, None), bc.Config()).total
    oracle = cross_entropy(logits.flatten(0, 1), torch.where(mask, labels, -100).flatten(), ignore_index=-100)
    assert torch.allclose(mine, oracle, atol=1e-6)
    (one,), (two,) = torch.autograd.grad(mine, logits, retain_graph=True), torch.autograd.grad(oracle, logits)
    assert torch.allclose(one, two, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999))
def test_padding_is_invisible(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logp, entropy = -torch.rand(2, 6, generator=generator), torch.rand(2, 6, generator=generator)
    mask = torch.rand(2, 6, generator=generator) < 0.5
    shown, config = Demonstrations(mask, None), bc.Config(entropy_coef=0.1)
    clean = logp.clone().requires_grad_()
    dirty = rubbish(logp, mask, seed).requires_grad_()
    one = bc.loss(Scores(clean, entropy), shown, config).total
    two = bc.loss(Scores(dirty, rubbish(entropy, mask, seed + 1)), shown, config).total
    assert torch.equal(one, two)
    (a,), (b,) = torch.autograd.grad(one, clean), torch.autograd.grad(two, dirty)
    assert torch.equal(a, b)
