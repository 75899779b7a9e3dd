"""Intervals, correlation and calibration against tables, definitions and loops."""

from math import inf, isinf, isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.runs.statistics import (
    brier,
    mean_interval,
    rank_correlation,
    recalibration,
    t_quantile,
)

Z = 1.959964
T_TABLE = {
    (0.95, 1): 12.706, (0.95, 2): 4.303, (0.95, 3): 3.182, (0.95, 4): 2.776, (0.95, 5): 2.571, (0.95, 7): 2.365,
    (0.95, 10): 2.228, (0.95, 29): 2.045, (0.95, 30): 2.042, (0.95, 120): 1.980, (0.90, 6): 1.943,
    (0.99, 5): 4.032, (0.99, 1): 63.657, (0.50, 2): 0.816,
}  # fmt: skip


@pytest.mark.parametrize(("level", "degrees"), T_TABLE)
def test_t_quantiles_are_those_of_the_tables(level: float, degrees: int) -> None:
    assert t_quantile(level, degrees) == pytest.approx(T_TABLE[level, degrees], abs=6e-4)


def test_t_becomes_normal() -> None:
    assert t_quantile(0.95, 100_000) == pytest.approx(Z, abs=1e-4)


def test_mean_interval_by_hand() -> None:
    mean, low, high = mean_interval([1.0, 2.0, 3.0, 4.0])
    half = 3.182446 * sqrt(5 / 3) / 2
    assert (mean, low, high) == pytest.approx((2.5, 2.5 - half, 2.5 + half), abs=1e-5)
    assert mean_interval([7.0]) == (7.0, -inf, inf)
    assert isinf(mean_interval([7.0])[2])


def slow_ranks(values: list[float]) -> list[float]:
    return [
        1 + sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2
        for value in values
    ]


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=12))
def test_rank_correlation_is_pearson_of_ranks(pairs: list[tuple[int, int]]) -> None:
    a, b = slow_ranks([float(x) for x, _ in pairs]), slow_ranks([float(y) for _, y in pairs])
    ma, mb, n = sum(a) / len(a), sum(b) / len(b), len(a)
    over = sum((a[i] - ma) * (b[i] - mb) for i in range(n))
    under = sqrt(sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b))
    found = rank_correlation([x for x, _ in pairs], [y for _, y in pairs])
    assert isnan(found) if under == 0 else found == pytest.approx(over / under, abs=1e-9)


def test_rank_correlation_sees_order_alone() -> None:
    assert rank_correlation([1, 2, 3, 4], [1, 10, 100, 1e9]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)


def test_brier_by_hand() -> None:
    assert brier([0.8, 0.3], [1, 0]) == pytest.approx((0.04 + 0.09) / 2)
    assert brier([0.5] * 4, [0, 1, 1, 0]) == pytest.approx(0.25)


def test_recalibration_of_two_forecasts_by_hand() -> None:
    """Two distinct forecasts are fitted exactly: their logits map to those of the observed shares."""

    def logit(p: float) -> float:
        return log(p / (1 - p))

    forecasts = [0.25] * 100 + [0.75] * 100
    outcomes = [1.0] * 20 + [0.0] * 80 + [1.0] * 90 + [0.0] * 10
    slope, intercept = recalibration(forecasts, outcomes)
    assert slope == pytest.approx((logit(0.9) - logit(0.2)) / (2 * logit(0.75)), abs=1e-3)
    assert intercept == pytest.approx((logit(0.9) + logit(0.2)) / 2, abs=1e-3)


def test_calibrated_forecasts_keep_their_logits() -> None:
    generator = np.random.default_rng(0)
    p = generator.uniform(0.05, 0.95, 20_000)
    y = (generator.random(20_000) < p).astype(float)
    assert recalibration(p, y) == pytest.approx((1, 0), abs=0.05)
    logits = np.log(p / (1 - p))
    assert recalibration(1 / (1 + np.exp(-3 * logits)), y)[0] == pytest.approx(1 / 3, abs=0.03)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_recalibration_is_where_the_gradient_vanishes(cases: list[tuple[float, bool]]) -> None:
    slope, intercept = recalibration([p for p, _ in cases], [float(y) for _, y in cases])
    along = across = 0.0
    for p, y in cases:
        p = min(max(p, 1e-6), 1 - 1e-6)
        logit = log(p / (1 - p))
        residual = 1 / (1 + np.exp(-(slope * logit + intercept))) - y
        along, across = along + logit * residual, across + residual
    assert along + 1e-3 * slope == pytest.approx(0, abs=1e-4)
    assert across + 1e-3 * intercept == pytest.approx(0, abs=1e-4)
