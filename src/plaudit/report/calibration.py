"""Forecasts the reward model made of answers it had not yet seen: how they came out, whether its confidence can be
trusted, and the sections that say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from plaudit.maths.intervals import wilson
from plaudit.report import charts, page
from plaudit.report.charts import BLUE, GREEN, Curve, Histogram, Labels
from plaudit.report.data import Row, RunData, is_number
from plaudit.report.texts import Texts, interval, percent
from plaudit.runs.statistics import brier, recalibration
from plaudit.seeds import seed_of

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


def read(rows: Sequence[Row], kinds: Sequence[str] = ("reward", "watch")) -> Forecasts:
    """All forecasts of a run: of answers before they were learned from (`reward`), and of held-out judgements, which
    nothing learns from (`watch`)."""
    cases = [
        (p, answer, row.get("feedback/labels", 0))
        for row in rows
        for kind in kinds
        for p, answer in zip(
            row.get(f"{kind}/held_out_probabilities") or (),
            row.get(f"{kind}/held_out_answers") or (),
            strict=False,
        )
        if answer != 0.5
    ]
    columns = np.array(cases, dtype=np.float64).reshape(-1, 3)
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


def accuracy_section(run: RunData, forecasts: Forecasts, say: Texts) -> str:
    """How often the reward model foresaw answers it had not learned from."""
    if not len(forecasts.outcomes):
        return page.section(say("accuracy"), say("accuracy_none"), "")
    hits, n = int(forecasts.right.sum()), len(forecasts.outcomes)
    results = [say("accuracy_number", share=percent(hits / n), count=n, low_high=interval(*wilson(hits, n)))]
    watched = read(run.rows, ("watch",))
    if count := len(watched.outcomes):
        results.append(say("accuracy_watched", share=percent(float(watched.right.mean())), count=count))
    lines = [_points(accuracy(forecasts), BLUE, say("held_out"))]
    fitted = [
        (row["feedback/labels"], row["reward/accuracy"])
        for row in run.rows
        if is_number(row.get("reward/accuracy")) and is_number(row.get("feedback/labels"))
    ]
    if len(fitted) > 1:
        x, y = np.array(fitted, dtype=np.float64).T
        lines.insert(0, Curve(x, y, GREEN, say("fitted")))
        results.append(say("accuracy_fit") if y[-1] > hits / n else "")
    labels = Labels(say("answers"), say("accuracy_share"), say("accuracy"))
    drawn = page.picture(charts.accuracy(lines, say("coin"), labels))
    return page.section(say("accuracy"), say("accuracy_say", group=GROUP), drawn, say.join(results))


def calibration_section(run: RunData, forecasts: Forecasts, say: Texts) -> str:
    """Whether forecasts come true as often as they say; nothing without forecasts."""
    n = len(forecasts.outcomes)
    if not n:
        return ""
    edges = np.linspace(0, 1, BINS + 1)
    histogram = Histogram(edges, np.histogram(forecasts.probabilities, edges)[0])
    labels = Labels(say("forecast"), say("came_true"), say("calibration"))
    drawn = charts.reliability(_points(reliability(forecasts), BLUE, ""), histogram, labels, say("count"))
    return page.section(
        say("calibration"), say("calibration_say"), page.picture(drawn), _scores(run, forecasts, say)
    )


def _scores(run: RunData, forecasts: Forecasts, say: Texts) -> str:
    n = len(forecasts.outcomes)
    if n < FEW:
        return say("calibration_few", count=n)
    c = calibration(forecasts, np.random.default_rng(seed_of(run.seed, "report", "calibration")))
    verdict = "overconfident" if c.slope_high < 1 else "underconfident" if c.slope_low > 1 else "calibrated"
    numbers = say(
        "calibration_number",
        brier=f"{c.brier:.3f}",
        base=percent(c.base),
        base_brier=f"{c.base_brier:.3f}",
        slope=c.slope,
        low=c.slope_low,
        high=c.slope_high,
        intercept=c.intercept,
    )
    return f"{numbers} {say(verdict)}"


def _points(shares: list[Share], colour: str, label: str) -> Curve:
    columns = np.array([(s.at, s.share, s.low, s.high) for s in shares]).T
    return Curve(columns[0], columns[1], colour, label, "o", low=columns[2], high=columns[3])
