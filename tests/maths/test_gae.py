"""Generalised advantage estimation against the double sum of the paper and published numbers."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import episode_indices, random_episodes, refilled
from torch import Tensor

from plaudit.batches import Episodes
from plaudit.batches.rows import take
from plaudit.maths.gae import gae

seeds = st.integers(0, 2**20)
unit = st.sampled_from([0.0, 0.3, 0.9, 0.99, 1.0])


def slow_gae(e: Episodes, discount: float, lam: float) -> Tensor:
    """Eq. 16 as it stands: A_t = sum over k of (discount lam)^k delta_{t+k}, up to the end of the episode."""
    assert e.values is not None and e.next_values is not None
    result = torch.zeros_like(e.rewards)
    for b, columns in episode_indices(e):
        for i, t in enumerate(columns):
            total = 0.0
            for k, u in enumerate(columns[i:]):
                bootstrap = 0.0 if e.terminated[b, u] else float(e.next_values[b, u])
                delta = float(e.rewards[b, u]) + discount * bootstrap - float(e.values[b, u])
                total += (discount * lam) ** k * delta
            result[b, t] = total
    return result


def one_episode(rewards: list[float], values: list[float], terminated: bool = True) -> Episodes:
    r, v = torch.tensor([rewards]), torch.tensor([values])
    last = torch.zeros_like(r, dtype=torch.bool)
    last[0, -1] = True
    following = torch.cat([v[:, 1:], torch.zeros(1, 1)], dim=1)
    return Episodes(torch.zeros_like(r), r, last & terminated, last, torch.ones_like(last), v, following)


@settings(max_examples=150, deadline=None)
@given(seed=seeds, discount=unit, lam=unit)
def test_equals_the_double_sum(seed: int, discount: float, lam: float) -> None:
    e = random_episodes(seed)
    assert torch.allclose(gae(e, discount, lam), slow_gae(e, discount, lam), atol=1e-10)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, other=seeds)
def test_masked_positions_are_invisible_whatever_they_hold(seed: int, other: int) -> None:
    e = random_episodes(seed)
    plain = gae(e, 0.9, 0.8)
    assert torch.equal(gae(refilled(e, other), 0.9, 0.8), plain)
    assert torch.equal(plain[~e.mask], torch.zeros_like(plain[~e.mask]))


@settings(max_examples=50, deadline=None)
@given(seed=seeds)
def test_rows_permute(seed: int) -> None:
    e = random_episodes(seed, rows=5)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(gae(take(e, order), 0.9, 0.8), gae(e, 0.9, 0.8)[order])


@settings(max_examples=50, deadline=None)
@given(seed=seeds)
def test_gaps_inside_an_episode_are_invisible(seed: int) -> None:
    e = random_episodes(seed, rows=1, columns=9)
    with_gaps = gae(e, 0.9, 0.8)[e.mask]
    compact = replace(
        e,
        **{
            name: getattr(e, name)[e.mask].unsqueeze(0)
            for name in ("logp", "rewards", "terminated", "last", "mask", "values", "next_values", "ref_logp")
        },
    )
    assert torch.allclose(gae(compact, 0.9, 0.8)[0], with_gaps, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=seeds)
def test_one_episode_says_nothing_about_another(seed: int) -> None:
    e = random_episodes(seed)
    alone = torch.zeros_like(e.rewards)
    for b, columns in episode_indices(e):
        part = replace(e, mask=torch.zeros_like(e.mask))
        part.mask[b, columns] = True
        alone += gae(part, 0.9, 0.8)
    assert torch.allclose(alone, gae(e, 0.9, 0.8), atol=1e-12)


def test_worked_by_hand() -> None:
    # discount .5, lambda .5; two steps, then a truncation whose successor is worth 4
    # delta_0 = 1 + .5*2 - 1 = 1;  delta_1 = 3 + .5*4 - 2 = 3;  A_1 = 3;  A_0 = 1 + .25*3 = 1.75
    e = replace(one_episode([1.0, 3.0], [1.0, 2.0], terminated=False), next_values=torch.tensor([[2.0, 4.0]]))
    assert gae(e, 0.5, 0.5).tolist() == [[1.75, 3.0]]
    # the same end as a termination: delta_1 = 3 - 2 = 1, A_0 = 1 + .25 = 1.25
    assert gae(replace(e, terminated=e.last), 0.5, 0.5).tolist() == [[1.25, 1.0]]


def test_one_step_that_truncates_and_terminates_at_once_is_a_termination() -> None:
    yes = torch.ones(1, 1, dtype=torch.bool)
    e = Episodes(
        torch.zeros(1, 1), torch.tensor([[1.0]]), yes, yes, yes, torch.tensor([[0.25]]), torch.tensor([[9.0]])
    )
    assert gae(e, 0.99, 0.95).tolist() == [[0.75]]  # 1 - .25: the value 9 of the successor is not added


@pytest.mark.parametrize("worthless", [float("nan"), float("inf")])
def test_what_follows_a_termination_is_never_read(worthless: float) -> None:
    e = one_episode([1.0, 1.0], [0.5, 0.5])
    assert e.next_values is not None
    dirty = replace(e, next_values=torch.tensor([[0.5, worthless]]))
    assert torch.equal(gae(dirty, 0.9, 0.9), gae(e, 0.9, 0.9))


def test_published_numbers_of_torchtune() -> None:
    e = one_episode([0, 0, 0, 1.0], [0, 0, 0, 1.0])
    adv = gae(e, 0.9, 0.95)
    assert e.values is not None
    assert torch.allclose(adv, torch.tensor([[0.6579225, 0.7695, 0.9, 0.0]]), atol=1e-7)
    assert torch.allclose(adv + e.values, torch.tensor([[0.6579225, 0.7695, 0.9, 1.0]]), atol=1e-7)


def test_published_numbers_of_nemo() -> None:
    e = one_episode([0, 0, 5.0], [1.0, 2.0, 3.0])
    assert e.values is not None
    assert gae(e, 1.0, 0.0).tolist() == [[1, 1, 2]]
    assert gae(e, 1.0, 1.0).tolist() == [[4, 3, 2]]
    assert (gae(e, 1.0, 1.0) + e.values).tolist() == [[5, 5, 5]]


def test_published_numbers_with_and_without_a_masked_gap() -> None:
    e = one_episode([0, 0, 0, 1.0], [0.1, 0.2, 0.4, 0.5])
    expected = torch.tensor([0.78232438, 0.72761762, 0.56525, 0.5])
    adv = gae(e, 0.99, 0.95)[0]
    assert e.values is not None and e.next_values is not None
    assert torch.allclose(adv, expected, atol=1e-7)
    assert torch.allclose(adv + e.values[0], torch.tensor([0.88232438, 0.92761762, 0.96525, 1.0]), atol=1e-7)

    def with_gap(
        x: Tensor, fill: float
    ) -> Tensor:  # another speaker's token between the second and the third
        return torch.cat([x[:, :2], torch.full((1, 1), fill, dtype=x.dtype), x[:, 2:]], dim=1)

    gap = Episodes(
        with_gap(e.logp, 999),
        with_gap(e.rewards, 999),
        with_gap(e.terminated, 1),
        with_gap(e.last, 1),
        with_gap(e.mask, 0),
        with_gap(e.values, 999),
        with_gap(e.next_values, 999),
    )
    adv = gae(gap, 0.99, 0.95)[0]
    assert torch.allclose(adv, torch.cat([expected[:2], torch.zeros(1), expected[2:]]), atol=1e-7)


def test_with_discount_and_lambda_one_the_target_is_the_reward_to_go() -> None:
    r = torch.randn(1, 6, generator=torch.Generator().manual_seed(0)).tolist()[0]
    v = torch.randn(1, 6, generator=torch.Generator().manual_seed(1)).tolist()[0]
    e = one_episode(r, v)
    assert e.values is not None
    target = (gae(e, 1.0, 1.0) + e.values)[0].tolist()
    assert target == pytest.approx([sum(r[t:]) for t in range(6)], abs=1e-5)


def test_the_end_of_the_rollout_bootstraps_and_its_last_step_has_an_advantage() -> None:
    e = one_episode([0.0, 1.0], [0.0, 0.0], terminated=False)
    e = replace(e, next_values=torch.tensor([[0.0, 2.0]]))
    assert gae(e, 1.0, 1.0).tolist() == [[3.0, 3.0]]


def test_a_policy_without_a_critic_is_told_so() -> None:
    e = replace(random_episodes(0), values=None)
    with pytest.raises(ValueError, match="critic"):
        gae(e, 0.9, 0.9)
