"""Forecasts the reward model made of answers it had not yet seen, and how they came out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from plaudit.maths.intervals import wilson
from plaudit.runs.statistics import brier, recalibration

GROUP = 20
"""Answers in each point of the accuracy curve, at least."""
BINS = 5
FEW = 30
"""With fewer forecasts than this nothing is said about calibration."""
RESAMPLES = 200


@dataclass(frozen=True)
class Forecasts:
    """Decided answers in the order in which they came; equal ones are left out: they favour nobody."""

    probabilities: np.ndarray
    """[N] the forecast that the first option is preferred."""
    outcomes: np.ndarray
    """[N] 1 where it was."""
    labels: np.ndarray
    """[N] how many answers there were in all when this one had been learned from."""

    @property
    def right(self) -> np.ndarray:
        """[N] bool: the option with the larger forecast was preferred."""
        return (self.probabilities > 0.5) == (self.outcomes > 0.5)


@dataclass(frozen=True)
class Calibration:
    """How far forecasts can be taken at their word."""

    brier: float
    base_brier: float
    """Of always forecasting the share of firsts."""
    base: float
    """The share of firsts."""
    slope: float
    slope_low: float
    slope_high: float
    intercept: float


@dataclass(frozen=True)
class Share:
    """A share of some cases with its interval, at a place on the x axis."""

    at: float
    share: float
    low: float
    high: float
    n: int


def read(rows: tuple[dict[str, Any], ...], kinds: Sequence[str] = ("reward", "watch")) -> Forecasts:
    """All forecasts of a run: of answers before they were learned from (`reward`), and of held-out judgements, which
    nothing learns from (`watch`)."""
    found = [
        (p, answer, row.get("feedback/labels", 0))
        for row in rows
        for kind in kinds
        for p, answer in zip(
            row.get(f"{kind}/fresh_probabilities") or (), row.get(f"{kind}/fresh_answers") or (), strict=False
        )
        if answer != 0.5
    ]
    columns = np.array(found, dtype=np.float64).reshape(-1, 3)
    return Forecasts(columns[:, 0], columns[:, 1], columns[:, 2])


def accuracy(forecasts: Forecasts) -> list[Share]:
    """Shares of right forecasts in groups of rounds that have at least `GROUP` answers together."""
    edges = [0]
    ends = np.flatnonzero(np.diff(forecasts.labels, append=np.inf)) + 1
    for end in ends.tolist():
        if end - edges[-1] >= GROUP:
            edges.append(end)
    if len(edges) > 1:
        edges[-1] = len(forecasts.labels)  # a short rest joins the last group
    elif len(forecasts.labels):
        edges.append(len(forecasts.labels))
    return [
        _share(float(forecasts.labels[start:end].mean()), forecasts.right[start:end])
        for start, end in pairwise(edges)
    ]


def reliability(forecasts: Forecasts) -> list[Share]:
    """Shares of firsts among forecasts of about the same size, at the mean forecast; empty bins are left out."""
    place = np.minimum((forecasts.probabilities * BINS).astype(int), BINS - 1)
    return [
        _share(float(forecasts.probabilities[place == i].mean()), forecasts.outcomes[place == i] > 0.5)
        for i in range(BINS)
        if (place == i).any()
    ]


def calibration(forecasts: Forecasts, generator: np.random.Generator) -> Calibration:
    """Brier score and logistic recalibration; the slope's 95 % interval is a bootstrap over answers."""
    p, y = forecasts.probabilities, forecasts.outcomes
    slope, intercept = recalibration(p, y)
    again = generator.integers(len(p), size=(RESAMPLES, len(p)))
    low, high = np.quantile([recalibration(p[rows], y[rows])[0] for rows in again], [0.025, 0.975])
    base = float(y.mean())
    return Calibration(
        brier(p, y), brier(np.full_like(y, base), y), base, slope, float(low), float(high), intercept
    )


def _share(at: float, hits: np.ndarray) -> Share:
    low, high = wilson(int(hits.sum()), len(hits))
    return Share(at, float(hits.mean()), low, high, len(hits))
