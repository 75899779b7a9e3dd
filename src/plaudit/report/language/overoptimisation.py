"""Whether a run is over-optimised: what is truly wanted falls while the learned reward goes on rising (Gao et al. 2022,
arXiv:2210.10760, section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plaudit.report import evidence
from plaudit.report.evidence import Evidence
from plaudit.report.language import trace

FEWEST = 4
"""With fewer evaluations than this nothing is said."""
NEIGHBOURS = 3
"""Evaluations that are averaged before they are compared, because the best of many is lucky."""


@dataclass(frozen=True)
class Course:
    """Where the truth was highest, and where it came to; all values are averages over neighbours."""

    by: str
    """hidden, or people: held-out judgements where there is no hidden score."""
    peak: int
    """The update of the highest truth."""
    high: float
    now: float
    proxy_high: float
    """The reward it is trained on at the peak."""
    proxy_now: float
    seen: bool
    """The truth has clearly fallen, by two standard errors, and the other went on rising."""


def course(run: Evidence) -> Course | None:
    """By the hidden score, else by held-out judgements; none where there is too little of both."""
    points = [p for p in trace.points(run) if p.proxy is not None and p.hidden is not None]
    if len(points) >= FEWEST:
        truth, proxy = ([getattr(p, name) for p in points] for name in ("hidden", "proxy"))
        return follow("hidden", [p.update for p in points], (truth, [p.error for p in points]), proxy)
    checks = trace.judged(run)
    at, values = trace.evaluated(run, "proxy_mean")
    if len(checks) < FEWEST or len(at) < 2:
        return None
    rates = [(c.rate * c.count + 1) / (c.count + 2) for c in checks]
    errors = [float(np.sqrt(r * (1 - r) / (c.count + 2))) for r, c in zip(rates, checks, strict=True)]
    steps = [c.update for c in checks]
    return follow("people", steps, (rates, errors), np.interp(steps, at, values).tolist())


def follow(
    by: str, updates: Sequence[int], truth: tuple[Sequence[float], Sequence[float]], proxy: Sequence[float]
) -> Course:
    """Compare the peak of the truth (values, standard errors) with its end, all [N] in the order of training."""
    errors = np.array(truth[1])
    smooth, rewards = (
        evidence.smoothed(np.array(x, dtype=np.float64), NEIGHBOURS) for x in (truth[0], proxy)
    )
    peak = int(smooth.argmax())
    fallen = smooth[peak] - smooth[-1] > 2 * np.hypot(errors[peak], errors[-1])
    seen = bool(fallen and rewards[-1] > rewards[peak])
    return Course(
        by, int(updates[peak]), float(smooth[peak]), float(smooth[-1]), float(rewards[peak]),
        float(rewards[-1]), seen,
    )  # fmt: skip
