"""The sections on how well the reward model foresees answers, and whether its confidence can be trusted."""

import numpy as np

from plaudit.maths.intervals import wilson
from plaudit.report import evidence, forecasts, page
from plaudit.report.evidence import Evidence
from plaudit.report.figures import BLUE, GREEN, Curve, Labels, reliability
from plaudit.report.figures import accuracy as accuracy_figure
from plaudit.report.forecasts import FEW, Forecasts, Share
from plaudit.report.words import Words, interval, percent
from plaudit.seeds import seed_of


def accuracy(run: Evidence, found: Forecasts, say: Words) -> str:
    """How often the reward model foresaw answers it had not learned from."""
    if not len(found.outcomes):
        return page.section(say("accuracy"), say("accuracy_none"), "")
    hits, n = int(found.right.sum()), len(found.outcomes)
    result = say("accuracy_number", share=percent(hits / n), count=n, low_high=interval(*wilson(hits, n)))
    watched = forecasts.read(run.rows, ("watch",))
    if count := len(watched.outcomes):
        result += say("accuracy_watched", share=percent(float(watched.right.mean())), count=count)
    lines = [_points(forecasts.accuracy(found), BLUE, say("fresh"))]
    fitted = [
        (row["feedback/labels"], row["reward/accuracy"])
        for row in run.rows
        if evidence.is_number(row.get("reward/accuracy")) and evidence.is_number(row.get("feedback/labels"))
    ]
    if len(fitted) > 1:
        x, y = np.array(fitted, dtype=np.float64).T
        lines.insert(0, Curve(x, y, GREEN, say("fitted")))
        result += say("accuracy_fit") if y[-1] > hits / n else ""
    labels = Labels(say("answers"), say("foreseen"), say("accuracy"))
    drawn = accuracy_figure(lines, say("coin"), labels)
    return page.section(
        say("accuracy"), say("accuracy_say", group=forecasts.GROUP), page.picture(drawn), result
    )


def calibration(run: Evidence, found: Forecasts, say: Words) -> str:
    """Whether forecasts come true as often as they say; nothing without forecasts."""
    n = len(found.outcomes)
    if not n:
        return ""
    edges = np.linspace(0, 1, forecasts.BINS + 1)
    counts = np.histogram(found.probabilities, edges)[0]
    labels = Labels(say("forecast"), say("came_true"), say("calibration"))
    drawn = reliability(
        _points(forecasts.reliability(found), BLUE, ""), (edges, counts), labels, say("count")
    )
    return page.section(
        say("calibration"), say("calibration_say"), page.picture(drawn), _scores(run, found, say)
    )


def _scores(run: Evidence, found: Forecasts, say: Words) -> str:
    n = len(found.outcomes)
    if n < FEW:
        return say("calibration_few", count=n)
    c = forecasts.calibration(found, np.random.default_rng(seed_of(run.seed, "report", "calibration")))
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
