"""Baselines of groups against loops over the groups, published numbers, and what must not matter."""

import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from plaudit.maths import groups

cases = st.lists(st.tuples(st.floats(-100, 100, width=32), st.integers(-3, 3)), min_size=1, max_size=12)


def tensors(case: list[tuple[float, int]]) -> tuple[Tensor, Tensor]:
    """Returns, and a number for each group that need not begin at 0 or stand in order."""
    returns, group = zip(*case, strict=True)
    return torch.tensor(returns, dtype=torch.float64), torch.tensor(group) * 7


def test_published_numbers() -> None:
    # R = 1, 0, 0, 1: others' means 1/3 and 2/3; group mean .5, unbiased deviation sqrt(4 * .25 / 3) = .57735
    returns, group = torch.tensor([1.0, 0.0, 0.0, 1.0]), torch.zeros(4, dtype=torch.long)
    sign = torch.tensor([1.0, -1.0, -1.0, 1.0])
    assert groups.leave_one_out(returns, group).tolist() == pytest.approx((sign * 0.66666667).tolist())
    assert groups.centred(returns, group).tolist() == (sign * 0.5).tolist()
    assert groups.spread(returns, group).tolist() == pytest.approx([0.57735027] * 4)
    scaled = groups.centred(returns, group) / (groups.spread(returns, group) + 1e-4)
    assert scaled.tolist() == pytest.approx((sign * 0.86587543).tolist(), abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(case=cases)
def test_against_loops(case: list[tuple[float, int]]) -> None:
    returns, group = tensors(case)
    loo, centred = groups.leave_one_out(returns, group), groups.centred(returns, group)
    spread, alike = groups.spread(returns, group), groups.alike(returns, group)
    for i, (mine, number) in enumerate(case):
        others = [r for j, (r, g) in enumerate(case) if g == number and j != i]
        every = [*others, mine]
        assert loo[i].item() == pytest.approx(mine - statistics.fmean(others) if others else 0.0, abs=1e-9)
        assert centred[i].item() == pytest.approx(mine - statistics.fmean(every), abs=1e-9)
        assert spread[i].item() == pytest.approx(statistics.stdev(every) if others else 0.0, abs=1e-6)
        assert bool(alike[i]) == (len(set(every)) == 1)


@settings(max_examples=60, deadline=None)
@given(case=cases, shift=st.floats(-50, 50), seed=st.integers(0, 999))
def test_a_constant_of_a_group_and_the_order_of_rows_do_not_matter(
    case: list[tuple[float, int]], shift: float, seed: int
) -> None:
    returns, group = tensors(case)
    moved = returns + shift * group  # another constant for each group
    order = torch.randperm(len(case), generator=torch.Generator().manual_seed(seed))
    for formula in (groups.leave_one_out, groups.centred, groups.spread):
        found = formula(returns, group)
        if formula is groups.leave_one_out:  # a row alone is compared with nothing, whatever it got
            assert torch.allclose(formula(moved, group), found, atol=1e-9)
        assert torch.allclose(formula(moved, group), found, atol=1e-6)
        assert torch.allclose(formula(returns[order], group[order]), found[order], atol=1e-9)


def test_a_group_of_one_mind_has_no_preference_and_no_nan() -> None:
    returns, group = torch.full((5,), 0.1), torch.tensor([3, 3, 3, 3, 9])
    assert groups.alike(returns, group).all()
    assert groups.leave_one_out(returns, group).abs().max() < 1e-7
    assert torch.isfinite(groups.spread(returns, group)).all()


def test_the_baseline_of_leave_one_out_is_independent_of_its_row() -> None:
    """So the policy gradient is unbiased: d A_i / d R_i = 1, and A_i falls by 1 / (n - 1) of any other."""
    returns = torch.randn(
        4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True
    )
    advantages = groups.leave_one_out(returns, torch.zeros(4, dtype=torch.long))
    for i in range(4):
        (slope,) = torch.autograd.grad(advantages[i], returns, retain_graph=True)
        assert slope.tolist() == pytest.approx([1.0 if j == i else -1 / 3 for j in range(4)])
