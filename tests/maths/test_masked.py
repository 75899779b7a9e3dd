"""Masked statistics against the compacted list and the statistics module."""

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import rubbish

from plaudit.maths import masked

GRID = torch.tensor([[1.2, 1.3, 1.4], [1.5, 1.6, 1.7], [1.8, 1.9, 2.0]])
ALL = torch.ones(3, 3, dtype=torch.bool)

numbers = st.lists(st.tuples(st.floats(-100, 100, width=32), st.booleans()), min_size=1, max_size=12).map(
    lambda pairs: (
        torch.tensor([p[0] for p in pairs], dtype=torch.float64),
        torch.tensor([p[1] for p in pairs]),
    )
)


@settings(max_examples=150, deadline=None)
@given(case=numbers, seed=st.integers(0, 9999))
def test_total_mean_and_var_are_those_of_the_compacted_list(case: tuple, seed: int) -> None:
    x, mask = case
    kept = [float(v) for v, m in zip(x, mask, strict=True) if m]
    dirty = rubbish(x, mask, seed)
    assert math.isclose(float(masked.total(dirty, mask)), math.fsum(kept), abs_tol=1e-9)
    assert math.isclose(
        float(masked.mean(dirty, mask)), statistics.fmean(kept) if kept else 0.0, abs_tol=1e-9
    )
    expected = statistics.variance(kept) if len(kept) > 1 else 0.0
    assert math.isclose(float(masked.var(dirty, mask)), expected, rel_tol=1e-9, abs_tol=1e-9)


@settings(max_examples=150, deadline=None)
@given(case=numbers, seed=st.integers(0, 9999))
def test_standardise_and_rescale_are_those_of_the_compacted_list(case: tuple, seed: int) -> None:
    x, mask = case
    kept = [float(v) for v, m in zip(x, mask, strict=True) if m]
    dirty = rubbish(x, mask, seed)
    standard, scaled = masked.standardise(dirty, mask), masked.rescale(dirty, mask)
    assert torch.equal(standard[~mask], torch.zeros_like(standard[~mask]))
    assert torch.equal(scaled[~mask], torch.zeros_like(scaled[~mask]))
    if len(kept) < 2:  # nothing to divide by: left as it is, and no NaN
        assert standard[mask].tolist() == kept and scaled[mask].tolist() == kept
        return
    centre, spread = statistics.fmean(kept), statistics.stdev(kept)
    if 0 < spread < 1e-6:
        return  # rounding of the inputs
    for z, r, v in zip(standard[mask].tolist(), scaled[mask].tolist(), kept, strict=True):
        expected = (v - centre) / (spread + 1e-8)
        assert math.isclose(z, expected, abs_tol=1e-6)
        assert math.isclose(r, expected + centre, abs_tol=1e-6)


def test_whitening_of_the_grid_uses_the_unbiased_variance() -> None:
    # mean 1.6; squares .16 .09 .04 .01 0 .01 .04 .09 .16 sum to .6; .6 / 8 = .075 (unbiased), sqrt .27386;
    # the first: -.4 / .27386 + 1.6 = .1394
    assert masked.var(GRID, ALL).item() == pytest.approx(0.075, abs=1e-6)
    expected = [[0.1394, 0.5046, 0.8697], [1.2349, 1.6, 1.9651], [2.3303, 2.6954, 3.0606]]
    assert torch.allclose(masked.rescale(GRID, ALL), torch.tensor(expected), atol=5e-5)
    assert torch.allclose(masked.standardise(GRID, ALL), torch.tensor(expected) - 1.6, atol=1e-4)


def test_whitening_under_a_mask_is_whitening_of_what_it_leaves() -> None:
    x, mask = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([False, True, True, False])
    assert masked.mean(x, mask).item() == 2.5
    assert masked.var(x, mask).item() == pytest.approx(0.5)
    assert torch.allclose(masked.standardise(x, mask), torch.tensor([0.0, -0.7071, 0.7071, 0.0]), atol=5e-5)


def test_the_mean_is_over_tokens_not_over_rows() -> None:
    x = torch.tensor([[1.0, 2.0, 0.0], [3.0, 4.0, 5.0], [7.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, False], [True, True, True], [True, False, False]])
    assert masked.mean(x, mask).item() == pytest.approx(3.6666667)  # (1+2+3+4+5+7) / 6


def test_a_batch_split_unevenly_gives_the_same_mean_when_weighted_by_decisions() -> None:
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor(
        [[1, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], dtype=torch.bool
    )
    parts = sum(masked.mean(x[i : i + 1], mask[i : i + 1]) * mask[i].sum() for i in range(4)) / mask.sum()
    assert torch.allclose(torch.as_tensor(parts), masked.mean(x, mask))


def test_nothing_masked_reaches_the_gradient_even_from_a_nan() -> None:
    x = torch.tensor([1.0, float("nan"), 3.0, float("inf")], requires_grad=True)
    mask = torch.tensor([True, False, True, False])
    (gradient,) = torch.autograd.grad(masked.mean(x, mask), x)
    assert gradient.tolist() == [0.5, 0.0, 0.5, 0.0]


@pytest.mark.parametrize("scale", [1.0, 7.5, 1000.0])
def test_standardise_ignores_shift_and_positive_scale(scale: float) -> None:
    x = torch.randn(64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mask = torch.rand(64, generator=torch.Generator().manual_seed(2)) < 0.6
    assert torch.allclose(masked.standardise(scale * x + 12.0, mask), masked.standardise(x, mask), atol=1e-6)


@pytest.mark.parametrize("constant", [0.0, 0.1, -3.3, 1000.1])
@pytest.mark.parametrize("count", [2, 63, 1000])
def test_equal_numbers_standardise_to_zero(constant: float, count: int) -> None:
    x, mask = torch.full((count,), constant), torch.ones(count, dtype=torch.bool)
    assert masked.standardise(x, mask).abs().max() < 0.01


def test_explained_variance_by_hand() -> None:
    # targets 1 2 3: variance 1; residuals .5 0 -.5: variance .25; so 1 - .25 = .75
    target, mask = torch.tensor([1.0, 2.0, 3.0, 99.0]), torch.tensor([True, True, True, False])
    prediction = torch.tensor([0.5, 2.0, 3.5, float("nan")])
    assert masked.explained_variance(prediction, target, mask).item() == pytest.approx(0.75)
    assert masked.explained_variance(target, target, mask).item() == 1
    assert masked.explained_variance(torch.full((4,), 7.0), target, mask).item() == pytest.approx(0)
    assert masked.explained_variance(-target, target, mask).item() == pytest.approx(-3)  # residual 2y


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 9999), rows=st.integers(1, 4), columns=st.integers(1, 5))
def test_totals_of_rows_and_the_mean_of_their_means(seed: int, rows: int, columns: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    mask = torch.rand(rows, columns, generator=generator) < 0.5
    dirty = rubbish(x, mask, seed)
    kept = [[float(v) for v, m in zip(*row, strict=True) if m] for row in zip(x, mask, strict=True)]
    assert masked.row_total(dirty, mask).tolist() == pytest.approx([math.fsum(row) for row in kept])
    means = [statistics.fmean(row) for row in kept if row]
    expected = statistics.fmean(means) if means else 0.0
    assert masked.row_mean(dirty, mask).item() == pytest.approx(expected)
    order = torch.randperm(rows, generator=generator)
    assert masked.row_mean(dirty[order], mask[order]).item() == pytest.approx(expected)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(masked.row_mean(x, mask), x)
    for b in range(rows):
        for t in range(columns):
            share = 1 / len(means) / len(kept[b]) if mask[b, t] else 0.0
            assert float(gradient[b, t]) == pytest.approx(share)


def test_published_mean_of_sequences() -> None:
    x = torch.tensor([[1.0, 3, 9], [2, 4, 0], [8, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])
    assert masked.row_mean(x, mask).item() == pytest.approx((13 / 3 + 3 + 8) / 3)
    # rows without any decision are left out
    x = torch.tensor([[1.0, 3], [5, 7]])
    assert masked.row_mean(x, torch.tensor([[True, True], [False, False]])).item() == 2.0
    pairs = torch.arange(12.0).reshape(2, 2, 3)
    assert masked.row_total(pairs, pairs > 1).tolist() == [[2, 12], [21, 30]]
