"""Advantage estimators as values."""

from dataclasses import replace

import pytest
import torch

from plaudit.batches import Episodes
from plaudit.maths.advantage import GAE, MonteCarlo, advantage, with_estimate
from plaudit.maths.gae import gae


def episodes() -> Episodes:
    """Rewards 1 2 of an episode that terminates, then 4 8 of one cut by the rollout, then padding."""
    yes, no = True, False
    return Episodes(
        logp=torch.zeros(1, 5),
        rewards=torch.tensor([[1.0, 2, 4, 8, 99]]),
        terminated=torch.tensor([[no, yes, no, no, no]]),
        last=torch.tensor([[no, yes, no, yes, no]]),
        mask=torch.tensor([[yes, yes, yes, yes, no]]),
        values=torch.tensor([[0.5, 0.5, 1.0, 1.0, 77]]),
        next_values=torch.tensor([[0.5, 66, 1.0, 3.0, 77]]),
    )


def test_gae_is_gae() -> None:
    e = episodes()
    assert torch.equal(advantage(e, 0.9, GAE(0.7)), gae(e, 0.9, 0.7))


def test_monte_carlo_by_hand() -> None:
    # discount .5: returns 1 + .5 * 2 = 2 and 2; minus the values .5: 1.5 and 1.5; the cut episode is not known
    assert advantage(episodes(), 0.5, MonteCarlo()).nan_to_num(-9).tolist() == [[1.5, 1.5, -9, -9, 0]]


def test_monte_carlo_needs_no_critic() -> None:
    e = replace(episodes(), values=None, next_values=None)
    assert advantage(e, 0.5, MonteCarlo()).nan_to_num(-9).tolist() == [[2, 2, -9, -9, 0]]
    with pytest.raises(ValueError, match="critic"):
        advantage(e, 0.5, GAE())


def test_decisions_without_an_estimate_leave_the_mask() -> None:
    e = episodes()
    known, advantages = with_estimate(e, advantage(e, 0.5, MonteCarlo()))
    assert known.mask.tolist() == [[True, True, False, False, False]]
    assert advantages.tolist() == [[1.5, 1.5, 0, 0, 0]]
    assert e.mask.tolist() == [[True, True, True, True, False]]
    same, _ = with_estimate(e, advantage(e, 0.5, GAE()))
    assert torch.equal(same.mask, e.mask)
