"""What a language run measured while it learned, and whether it is over-optimised: what is truly wanted falls while the
learned reward goes on rising (Gao et al. 2022, arXiv:2210.10760, section 3)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from plaudit.maths.intervals import wilson
from plaudit.report import charts, data, page
from plaudit.report.charts import BLUE, GREEN, Curve, Histogram, Labels
from plaudit.report.data import Row, RunData, Series, is_number
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
        others = foreseen_of_others(run)
        told = ", ".join(f"{kind} {percent(share)}" for kind, share in others.items())
        return page.section(
            say("accuracy"), say("accuracy_others", kinds=told) if others else say("accuracy_none"), ""
        )
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


def foreseen_of_others(run: RunData) -> dict[str, float]:
    """By kind of answer that is no comparison, the share of the newest ones that was foreseen before they were learned
    from."""
    found: dict[str, float] = {}
    for row in run.rows:
        for name, share in row.items():
            matched = re.fullmatch(r"reward/held_out_(\w+)_accuracy", name)
            if matched and is_number(share):
                found[matched[1]] = float(share)
    return dict(sorted(found.items()))


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


FEWEST = 4
"""With fewer evaluations than this nothing is said of over-optimisation."""
NEIGHBOURS = 3
"""Evaluations that are averaged before they are compared, because the best of many is lucky."""


@dataclass(frozen=True)
class Point:
    """The answers of one policy to the held-out prompts."""

    update: int
    kl: float | None
    """From the model as it started, in nats per answer."""
    proxy_reward: float | None
    """The mean of the reward it is trained on."""
    gold_reward: float | None
    """The mean gold reward."""
    error: float
    """Standard error of the mean gold reward over prompts; 0 where unknown."""


@dataclass(frozen=True)
class Check:
    """Held-out judgements of one policy beside the model as it started."""

    update: int
    kl: float
    """From the model as it started, in nats per answer."""
    rate: float
    """Share of wins; a tie is half of one."""
    count: int


@dataclass(frozen=True)
class Trend:
    """What is truly wanted, and the reward that is trained on: all [N], in the order of training."""

    updates: Sequence[int]
    truth: Sequence[float]
    errors: Sequence[float]
    """Standard errors of the truth."""
    proxy: Sequence[float]


@dataclass(frozen=True)
class Course:
    """Where the truth was highest, and where it came to; all values are averages over neighbours."""

    by: str
    """gold_reward, or judgements: held-out ones where there is no gold reward."""
    peak: int
    """The update of the highest truth."""
    high: float
    now: float
    proxy_high: float
    """The reward it is trained on at the peak."""
    proxy_now: float
    seen: bool
    """The truth has clearly fallen, by two standard errors, and the other went on rising."""


def value(row: Row, name: str) -> float | None:
    """A finite number of a row or of the result."""
    return float(row[name]) if is_number(row.get(name)) else None


def prompts(run: RunData) -> int:
    """Held-out prompts of each evaluation."""
    count = value(run.result, "win_prompts") or run.config.get("evaluate_count") or 0
    return int(count) if is_number(count) else 0


def evaluated(run: RunData, name: str) -> Series:
    """A measure of the evaluations against updates; the model as it started is update 0."""
    _, first = data.series(run.rows[:1], f"start/{name}", "update")
    updates, values = data.series(run.rows, f"eval/{name}", "update")
    return np.concatenate([np.zeros(len(first)), updates]), np.concatenate([first, values])


def points(run: RunData) -> list[Point]:
    """The evaluations in the order of training; those of the result fill in what the rows do not have."""
    measured = []
    for row in run.rows:
        if any(name.startswith("start/") for name in row):
            measured.append(_point(run, 0, row, "start/"))
        if any(name.startswith("eval/") for name in row) and is_number(row.get("update")):
            measured.append(_point(run, int(row["update"]), row, "eval/"))
    last = run.result
    for update, ended in ((0, last.get("before")), (last.get("kept_update"), last)):
        known = {point.update for point in measured}
        if is_number(update) and isinstance(ended, dict) and ended and int(update) not in known:
            measured.append(_point(run, int(update), ended, ""))
    return sorted(measured, key=lambda point: point.update)


def checks(run: RunData) -> list[Check]:
    """Every check by held-out judgements that anybody answered: as counted at the end of the run, with the answers that
    came late; before its end as counted when the check was made."""
    given = run.result.get("checks")
    rows = given if isinstance(given, list) else [_check(row) for row in run.rows]
    names = ("update", "kl", "points", "judgements")
    known = [row for row in rows if isinstance(row, dict) and all(is_number(row.get(n)) for n in names)]
    return [
        Check(int(c["update"]), float(c["kl"]), c["points"] / c["judgements"], int(c["judgements"]))
        for c in known
        if c["judgements"] > 0
    ]


def kept_update(run: RunData) -> int | None:
    """The update whose model was kept, where that is not the last one."""
    update, last = run.result.get("kept_update"), updates(run)
    return int(update) if is_number(update) and int(update) < last else None


def updates(run: RunData) -> int:
    """Updates so far."""
    return int(max((row["update"] for row in run.rows if is_number(row.get("update"))), default=0))


def learned_alone(run: RunData) -> bool:
    """Whether the model is trained on what was learned from people and on nothing else."""
    weights = (run.config.get("reward") or {}).get("weights") or {"learned": 1.0}
    return {name for name, weight in weights.items() if weight} == {"learned"}


def answer_scores(run: RunData, which: str) -> dict[str, np.ndarray]:
    """Proxy and gold reward [P] of the answers `before` or `after`, where every prompt has both; else empty."""
    scores = (run.result.get("scores") or {}).get(which) or {}
    columns = {name: scores.get(name) for name in ("proxy_reward", "gold_reward")}
    if not all(isinstance(c, list) and c and all(map(is_number, c)) for c in columns.values()):
        return {}
    arrays = {name: np.array(column, dtype=np.float64) for name, column in columns.items()}
    return arrays if len(arrays["proxy_reward"]) == len(arrays["gold_reward"]) else {}


def course(run: RunData) -> Course | None:
    """By the gold reward, else by held-out judgements; none where there is too little of both."""
    known = [p for p in points(run) if p.proxy_reward is not None and p.gold_reward is not None]
    if len(known) >= FEWEST:
        truth, proxy = ([getattr(p, name) for p in known] for name in ("gold_reward", "proxy_reward"))
        return follow("gold_reward", Trend([p.update for p in known], truth, [p.error for p in known], proxy))
    judged = checks(run)
    at, values = evaluated(run, "proxy_reward_mean")
    if len(judged) < FEWEST or len(at) < 2:
        return None
    rates = [(c.rate * c.count + 1) / (c.count + 2) for c in judged]
    errors = [float(np.sqrt(r * (1 - r) / (c.count + 2))) for r, c in zip(rates, judged, strict=True)]
    steps = [c.update for c in judged]
    return follow("judgements", Trend(steps, rates, errors, np.interp(steps, at, values).tolist()))


def follow(by: str, trend: Trend) -> Course:
    """Compare the peak of the truth with its end."""
    errors = np.array(trend.errors)
    smooth, rewards = (
        data.smoothed(np.array(x, dtype=np.float64), NEIGHBOURS) for x in (trend.truth, trend.proxy)
    )
    peak = int(smooth.argmax())
    fallen = smooth[peak] - smooth[-1] > 2 * np.hypot(errors[peak], errors[-1])
    seen = bool(fallen and rewards[-1] > rewards[peak])
    return Course(
        by, int(trend.updates[peak]), float(smooth[peak]), float(smooth[-1]), float(rewards[peak]),
        float(rewards[-1]), seen,
    )  # fmt: skip


def _check(row: Row) -> Row:
    """The check of a row as the result has it."""
    rate, count = row.get("watch/win_rate"), row.get("watch/judgements")
    points = rate * count if is_number(rate) and is_number(count) else None
    return {
        "update": row.get("update"),
        "kl": row.get("watch/kl_per_answer"),
        "points": points,
        "judgements": count,
    }


def _point(run: RunData, update: int, row: Row, prefix: str) -> Point:
    def at(name: str) -> float | None:
        return value(row, prefix + name)

    spread, count = at("gold_reward_std"), prompts(run)
    error = spread / np.sqrt(count) if spread is not None and count else 0.0
    return Point(update, at("kl_per_answer"), at("proxy_reward_mean"), at("gold_reward_mean"), float(error))
