"""What a language run measured while it learned, in the order of the updates."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from plaudit.report import evidence
from plaudit.report.evidence import Evidence, Series, is_number

Result = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """The answers of one policy to the held-out prompts."""

    update: int
    kl: float | None
    """From the model as it started, in nats per answer."""
    proxy: float | None
    """The mean of the reward it is trained on."""
    hidden: float | None
    """The mean hidden score."""
    error: float
    """Standard error of the mean hidden score over prompts; 0 where unknown."""


@dataclass(frozen=True)
class Judged:
    """Held-out judgements of one policy beside the model as it started."""

    update: int
    kl: float
    """From the model as it started, in nats per answer."""
    rate: float
    """Share of wins; a tie is half of one."""
    count: int


def result(run: Evidence) -> Result:
    """What the run came to; empty before its end."""
    found = run.manifest.get("result")
    return found if isinstance(found, dict) else {}


def value(found: Result, name: str) -> float | None:
    """A finite number of the result."""
    return float(found[name]) if is_number(found.get(name)) else None


def prompts(run: Evidence) -> int:
    """Held-out prompts of each evaluation."""
    count = value(result(run), "win_prompts") or run.config.get("evaluate_prompts") or 0
    return int(count) if is_number(count) else 0


def evaluated(run: Evidence, name: str) -> Series:
    """A measure of the evaluations against updates; the model as it started is update 0."""
    _, first = evidence.series(run.rows[:1], f"start/{name}", "update")
    updates, values = evidence.series(run.rows, f"eval/{name}", "update")
    return np.concatenate([np.zeros(len(first)), updates]), np.concatenate([first, values])


def points(run: Evidence) -> list[Point]:
    """The evaluations in the order of training; those of the result fill in what the rows do not have."""
    found = []
    for row in run.rows:
        if any(name.startswith("start/") for name in row):
            found.append(_point(run, 0, row, "start/"))
        if any(name.startswith("eval/") for name in row) and is_number(row.get("update")):
            found.append(_point(run, int(row["update"]), row, "eval/"))
    last = result(run)
    for update, ended in ((0, last.get("before")), (last.get("kept_update"), last)):
        known = {point.update for point in found}
        if is_number(update) and isinstance(ended, dict) and ended and int(update) not in known:
            found.append(_point(run, int(update), ended, ""))
    return sorted(found, key=lambda point: point.update)


def judged(run: Evidence) -> list[Judged]:
    """Every check by held-out judgements that anybody answered: as counted at the end of the run, with the answers that
    came late; before its end as counted when the check was made."""
    given = result(run).get("checks")
    checks = given if isinstance(given, list) else [_check(row) for row in run.rows]
    names = ("update", "kl", "points", "judgements")
    known = [
        check for check in checks if isinstance(check, dict) and all(is_number(check.get(n)) for n in names)
    ]
    return [
        Judged(int(c["update"]), float(c["kl"]), c["points"] / c["judgements"], int(c["judgements"]))
        for c in known
        if c["judgements"] > 0
    ]


def kept(run: Evidence) -> int | None:
    """The update whose model was kept, where that is not the last one."""
    found, last = result(run).get("kept_update"), updates(run)
    return int(found) if is_number(found) and int(found) < last else None


def updates(run: Evidence) -> int:
    """Updates so far."""
    return int(max((row["update"] for row in run.rows if is_number(row.get("update"))), default=0))


def learned_alone(run: Evidence) -> bool:
    """Whether the model is trained on what was learned from people and on nothing else."""
    weights = (run.config.get("reward") or {}).get("weights") or {"learned": 1.0}
    return {name for name, weight in weights.items() if weight} == {"learned"}


def answer_scores(run: Evidence, which: str) -> dict[str, np.ndarray]:
    """Proxy and hidden score [P] of the answers `before` or `after`, where every prompt has both; else empty."""
    scores = (result(run).get("scores") or {}).get(which) or {}
    columns = {name: scores.get(name) for name in ("proxy", "hidden")}
    if not all(isinstance(c, list) and c and all(map(is_number, c)) for c in columns.values()):
        return {}
    found = {name: np.array(column, dtype=np.float64) for name, column in columns.items()}
    return found if len(found["proxy"]) == len(found["hidden"]) else {}


def _check(row: Result) -> Result:
    """The check of a row as the result has it."""
    rate, count = row.get("watch/win_rate"), row.get("watch/judgements")
    points = rate * count if is_number(rate) and is_number(count) else None
    return {
        "update": row.get("update"),
        "kl": row.get("watch/kl_per_answer"),
        "points": points,
        "judgements": count,
    }


def _point(run: Evidence, update: int, row: dict[str, Any], prefix: str) -> Point:
    def at(name: str) -> float | None:
        return value(row, prefix + name)

    spread, count = at("hidden_std"), prompts(run)
    error = spread / np.sqrt(count) if spread is not None and count else 0.0
    return Point(update, at("kl_per_answer"), at("proxy_mean"), at("hidden_mean"), float(error))
