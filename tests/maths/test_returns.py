"""Returns-to-go, which decisions are complete, and the choice of an estimator, against loops."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import episode_indices, random_episodes, refilled

from plaudit.maths.advantage import GAE, MonteCarlo, advantage, with_estimate
from plaudit.maths.gae import gae
from plaudit.maths.returns import complete, returns_to_go, row_returns

seeds = st.integers(0, 2**20)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, discount=st.sampled_from([0.0, 0.5, 0.97, 1.0]))
def test_returns_are_the_discounted_sum_of_what_follows_in_the_episode(seed: int, discount: float) -> None:
    e = random_episodes(seed)
    expected = torch.zeros_like(e.rewards)
    for b, columns in episode_indices(e):
        for i, t in enumerate(columns):
            expected[b, t] = sum(discount**k * float(e.rewards[b, u]) for k, u in enumerate(columns[i:]))
    assert torch.allclose(returns_to_go(e, discount), expected, atol=1e-10)


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_a_decision_is_complete_when_its_episode_terminates_in_the_batch(seed: int) -> None:
    e = random_episodes(seed)
    expected = torch.zeros_like(e.mask)
    for b, columns in episode_indices(e):
        expected[b, columns] = bool(e.last[b, columns[-1]] and e.terminated[b, columns[-1]])
    assert torch.equal(complete(e), expected)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, other=seeds)
def test_masked_positions_are_invisible(seed: int, other: int) -> None:
    e = random_episodes(seed)
    dirty = refilled(e, other)
    assert torch.equal(returns_to_go(dirty, 0.9), returns_to_go(e, 0.9))
    assert torch.equal(complete(dirty), complete(e))
    for estimator in (GAE(0.7), MonteCarlo()):
        pair = advantage(dirty, 0.9, estimator), advantage(e, 0.9, estimator)
        torch.testing.assert_close(*pair, rtol=0, atol=0, equal_nan=True)


def test_by_hand() -> None:
    # one row, discount .5: rewards 1 2 4 of an episode that terminates, then 8 16 of one cut by the rollout
    # returns 1 + .5*(2 + .5*4) = 3, 2 + 2 = 4, 4 | 8 + 8 = 16, 16
    e = random_episodes(0, rows=1, columns=5, present=1.0)
    e = replace(
        e,
        rewards=torch.tensor([[1.0, 2, 4, 8, 16]]),
        values=torch.ones(1, 5),
        last=torch.tensor([[False, False, True, False, True]]),
        terminated=torch.tensor([[False, False, True, False, False]]),
    )
    assert returns_to_go(e, 0.5).tolist() == [[3, 4, 4, 16, 16]]
    assert complete(e).tolist() == [[True, True, True, False, False]]
    assert advantage(e, 0.5, MonteCarlo()).nan_to_num(-9).tolist() == [[2, 3, 3, -9, -9]]  # NaN: no estimate
    assert advantage(replace(e, values=None), 0.5, MonteCarlo()).nan_to_num(-9).tolist() == [
        [3, 4, 4, -9, -9]
    ]
    known, advantages = with_estimate(e, advantage(e, 0.5, MonteCarlo()))
    assert known.mask.tolist() == [[True, True, True, False, False]]
    assert advantages.tolist() == [[2, 3, 3, 0, 0]]


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_monte_carlo_is_gae_with_lambda_one_on_episodes_that_terminate(seed: int) -> None:
    # telescoping needs the critic's next value to be the value of the next decision
    e = random_episodes(seed, present=1.0)
    assert e.values is not None
    e = replace(e, terminated=e.last, next_values=torch.roll(e.values, -1, dims=1))
    assert torch.allclose(advantage(e, 0.9, MonteCarlo()), gae(e, 0.9, 1.0), atol=1e-10)


def test_gae_is_dispatched_with_its_lambda() -> None:
    e = random_episodes(3)
    assert torch.equal(advantage(e, 0.9, GAE(0.4)), gae(e, 0.9, 0.4))
    assert pytest.approx(0.95) == GAE().lam


@settings(max_examples=60, deadline=None)
@given(seed=seeds, discount=st.sampled_from([0.0, 0.5, 0.97, 1.0]))
def test_the_return_of_a_row_is_discounted_by_its_own_decisions(seed: int, discount: float) -> None:
    e = replace(random_episodes(seed), discount=discount)
    expected = []
    for b in range(3):
        total = k = 0
        for t in range(7):
            if e.mask[b, t]:  # a gap inside a row is no decision and takes no time
                total, k = total + discount**k * float(e.rewards[b, t]), k + 1
        expected.append(total)
    assert row_returns(e).tolist() == pytest.approx(expected, abs=1e-10)
    assert torch.equal(row_returns(refilled(e, seed + 1)), row_returns(e))


def test_a_row_by_hand() -> None:
    # .5: 1 + .5 * 2 + .25 * 4 = 3, and the masked 99 in between counts for nothing
    e = random_episodes(0, rows=1, columns=4, present=1.0)
    mask = torch.tensor([[True, True, False, True]])
    e = replace(e, rewards=torch.tensor([[1.0, 2, 99, 4]]), mask=mask, discount=0.5)
    assert row_returns(e).tolist() == [3.0]
    assert row_returns(replace(e, discount=1.0)).tolist() == [7.0]
