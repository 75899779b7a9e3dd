"""Intervals, correlation and calibration: the few statistics that reports and comparisons need."""

from collections.abc import Sequence
from math import atan, cos, inf, pi, sin, sqrt

import numpy as np


def mean_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean and its two-sided t-interval (Student 1908); one value has no bounds."""
    x = np.asarray(values, dtype=np.float64)
    mean = float(x.mean())
    if len(x) < 2:
        return mean, -inf, inf
    half = t_quantile(level, len(x) - 1) * float(x.std(ddof=1)) / sqrt(len(x))
    return mean, mean - half, mean + half


def share_interval(points: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """A share of points from 0 to 1 and its 95 % interval, as if one more win and one more loss had been seen.

    Bonett and Price 2012 (Journal of Educational and Behavioral Statistics 37(4), there with normal quantiles): it
    keeps its width where everything is won, lost or tied.
    """
    seen = [float(one) for one in points]
    _, low, high = mean_interval([*seen, 1.0, 0.0])
    return sum(seen) / max(1, len(seen)), max(0.0, low), min(1.0, high)


def t_quantile(level: float, degrees: int) -> float:
    """The t with P(-t < T < t) = level, for whole degrees of freedom, by bisection."""
    low, high = 0.0, 1.0
    while _t_within(high, degrees) < level:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, degrees) < level else (low, middle)
    return high


def _t_within(t: float, degrees: int) -> float:
    """P(-t < T < t) by its finite series (Abramowitz and Stegun 1964, eq. 26.7.3 and 26.7.4)."""
    theta = atan(t / sqrt(degrees))
    odd = degrees % 2
    term = total = cos(theta) if odd else 1.0
    for k in range(2 if odd else 1, degrees - 2, 2):
        term *= cos(theta) ** 2 * k / (k + 1)
        total += term
    if odd:
        return 2 / pi * (theta + (sin(theta) * total if degrees > 1 else 0.0))
    return sin(theta) * total


def rank_correlation(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Spearman's correlation, ties by their mean rank; NaN where one side is constant."""
    x, y = _ranks(np.asarray(a, dtype=np.float64)), _ranks(np.asarray(b, dtype=np.float64))
    x, y = x - x.mean(), y - y.mean()
    scale = sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale > 0 else float("nan")


def brier(probabilities: Sequence[float] | np.ndarray, outcomes: Sequence[float] | np.ndarray) -> float:
    """Mean squared error of forecasts (Brier 1950): 0 is perfect, .25 what `always one half` gets."""
    return float(np.mean((np.asarray(probabilities) - np.asarray(outcomes)) ** 2))


def recalibration(
    probabilities: Sequence[float] | np.ndarray, outcomes: Sequence[float] | np.ndarray
) -> tuple[float, float]:
    """Slope and intercept of a logistic fit of outcomes to forecast logits (Cox 1958): (1, 0) is calibrated.

    A slope below 1 means overconfident forecasts. A tiny ridge keeps separable data finite.
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-6, 1 - 1e-6)
    x = np.stack([np.log(p / (1 - p)), np.ones_like(p)], axis=1)
    y, weight = np.asarray(outcomes, dtype=np.float64), np.zeros(2)
    for _ in range(50):
        fitted = 1 / (1 + np.exp(-np.clip(x @ weight, -50, 50)))
        hessian = (x * (fitted * (1 - fitted))[:, None]).T @ x + 1e-3 * np.eye(2)
        weight = weight - np.linalg.solve(hessian, x.T @ (fitted - y) + 1e-3 * weight)
    return float(weight[0]), float(weight[1])


def _ranks(x: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
