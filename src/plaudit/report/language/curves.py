"""The figures of a language run: scores, over-optimisation, distance and drift while it learned."""

from collections.abc import Sequence

import numpy as np

from plaudit.maths import kl
from plaudit.maths.intervals import wilson
from plaudit.report import evidence, page
from plaudit.report.evidence import Evidence
from plaudit.report.figures import BLUE, GREEN, INK, ORANGE, Curve, Panel, panels
from plaudit.report.language import overoptimisation, samples, trace
from plaudit.report.language.overoptimisation import Course
from plaudit.report.language.trace import Point
from plaudit.report.words import Words, number, percent
from plaudit.runs.statistics import t_quantile


def scores(run: Evidence, say: Words) -> str:
    """Hidden score and learned reward on held-out prompts, over the updates."""
    points = trace.points(run)
    hidden = [p for p in points if p.hidden is not None]
    parts = []
    if hidden:
        updates, means = _columns(hidden, "update", "hidden")
        half = _t(run) * np.array([p.error for p in hidden])
        band = Curve(updates, means, GREEN, low=means - half, high=means + half)
        dots = Curve(updates, means, GREEN, style="-o", size=4)
        parts.append(Panel(say("hidden_score"), [band, dots]))
    lines = _practice(run, "objective/scores", BLUE)
    proxy = [p for p in points if p.proxy is not None]
    if proxy:
        lines.append(Curve(*_columns(proxy, "update", "proxy"), BLUE, style="-o", size=4))
    if lines:
        parts.append(Panel(say("proxy_score"), lines))
    if not parts:
        return page.section(say("scores"), say("scores_none"), "", kind="broad")
    told = [
        say("scores_say", prompts=trace.prompts(run)),
        say("scores_interval" if hidden else "scores_alone"),
    ]
    if run.labels:
        told += [say("scores_unit") if trace.learned_alone(run) else "", say("curve_say_people")]
    rug = (evidence.rounds(run.rows, "update"), say("asked"))
    drawn = panels(parts, say("updates"), say("scores"), rug)
    return page.section(say("scores"), say.join(told), page.picture(drawn))


def over(run: Evidence, say: Words) -> str:
    """Scores against the distance from the start, in the order of training; nothing without evaluations."""
    points = [p for p in trace.points(run) if p.kl is not None]
    checks, course = trace.judged(run), overoptimisation.course(run)
    said = _course(course, say)
    parts = []
    for name, colour, title in (("hidden", GREEN, "hidden_score"), ("proxy", BLUE, "proxy_score")):
        known = [p for p in points if getattr(p, name) is not None]
        if known:
            parts.append(Panel(say(title), _path(run, known, name, colour, say)))
    if checks:
        parts.append(
            Panel(say("judged"), [_wins(run, checks, say)], percents=True, level=(0.5, say("as_good")))
        )
    known = any(p.hidden is not None for p in points)
    told = [say("over_say" if known else "over_say_people")]
    told = told if parts else [say("over_no_kl")]
    if checks:
        told.append(say("judged_say", count=round(float(np.mean([check.count for check in checks])))))
    body = page.picture(panels(parts, say("kl_axis"), say("over"), whole=False)) if parts else ""
    if not parts and course is None:
        return ""
    return page.section(say("over"), say.join(told), body, said)


def distance(run: Evidence, say: Words) -> str:
    """KL and entropy over the updates; nothing where neither was measured.

    Evaluations measure KL from the model as it started, practice from the model that the price of KL is to.
    """
    best = kl.best_of_n_kl(samples.DRAWS)
    practised = _practice(run, "objective/kl_per_answer", BLUE)
    apart = run.config.get("reference") not in (None, run.config.get("start"))
    lines = [] if apart else practised
    points = [p for p in trace.points(run) if p.kl is not None]
    if points:
        lines.append(Curve(*_columns(points, "update", "kl"), BLUE, style="-o", size=4))
    parts = []
    if lines:
        near = max(float(line.y.max()) for line in lines) > best / 2
        level = (best, say("best_level", draws=samples.DRAWS, kl=best)) if near else None
        parts.append(Panel(say("kl_per_answer"), lines, level=level))
    if apart and practised:
        parts.append(Panel(say("kl_reference"), practised))
    entropy = _practice(run, "objective/entropy", ORANGE)
    if entropy:
        parts.append(Panel(say("entropy"), entropy))
    if not parts:
        return ""
    said = ""
    if points:
        said = say("best_of_n", draws=samples.DRAWS, best=best, kl=_last_kl(run, points))
    drawn = panels(parts, say("updates"), say("distance"))
    return page.section(say("distance"), say("distance_say"), page.picture(drawn), said)


def _last_kl(run: Evidence, points: Sequence[Point]) -> float:
    found = trace.value(trace.result(run), "kl_per_answer")
    return float(points[-1].kl or 0.0) if found is None else found


def _practice(run: Evidence, name: str, colour: str) -> list[Curve]:
    """A metric of the answers that the model practised on."""
    updates, values = evidence.series(run.rows, name, "update")
    if not len(updates):
        return []
    return [Curve(updates, values, colour, style="-" if len(updates) > 1 else "o", faint=True)]


def _columns(points: Sequence[Point], *names: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.array([getattr(p, name) for p in points], dtype=np.float64) for name in names)
    return x, y


def _path(run: Evidence, points: Sequence[Point], name: str, colour: str, say: Words) -> list[Curve]:
    """Evaluations joined in the order of training, the newest one and the kept one marked."""
    x, y = _columns(points, "kl", name)
    lines = [Curve(x, y, colour, style="-o", size=4)]
    lines.append(Curve(x[-1:], y[-1:], INK, say("newest"), "D", size=7))
    kept = trace.kept(run)
    at = [i for i, point in enumerate(points) if point.update == kept]
    if at:
        lines.append(Curve(x[at], y[at], INK, say("kept", update=kept), "o", size=12, hollow=True))
    return lines


def _wins(run: Evidence, checks: Sequence[trace.Judged], say: Words) -> Curve:
    x, y = (np.array([getattr(check, name) for check in checks]) for name in ("kl", "rate"))
    bounds = np.array([wilson(round(check.rate * check.count), check.count) for check in checks])
    return Curve(x, y, ORANGE, style="-s", low=bounds[:, 0], high=bounds[:, 1], size=4)


def _t(run: Evidence) -> float:
    count = trace.prompts(run)
    return t_quantile(0.95, count - 1) if count > 1 else 0.0


def _course(course: Course | None, say: Words) -> str:
    if course is None:
        return say("over_unknown")
    values = {
        "peak": course.peak,
        "high": _score(course, course.high),
        "now": _score(course, course.now),
        "proxy_high": course.proxy_high,
        "proxy_now": course.proxy_now,
    }
    return say(f"over_{course.by}_{'seen' if course.seen else 'unseen'}", **values)


def _score(course: Course, value: float) -> str:
    return percent(value) if course.by == "people" else number(value)
