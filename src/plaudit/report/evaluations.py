"""What a language run measured while it learned, and whether it is over-optimised: what is truly wanted falls while the
learned reward goes on rising (Gao et al. 2022, arXiv:2210.10760, section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plaudit.report import data
from plaudit.report.data import Row, RunData, Series, is_number

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
