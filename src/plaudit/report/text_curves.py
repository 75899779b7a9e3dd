"""The figures of a language run: rewards, over-optimisation, distance and drift while it learned, and whether the
learned reward agrees with the gold one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plaudit.maths import kl
from plaudit.maths.intervals import wilson
from plaudit.report import data, evaluations, page
from plaudit.report.charts import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    Curve,
    Labels,
    Level,
    Marks,
    Panel,
    panels,
    scatter,
)
from plaudit.report.data import RunData
from plaudit.report.evaluations import FEW, Check, Course, Point
from plaudit.report.sections import DRAWS
from plaudit.report.texts import Texts, number, percent
from plaudit.runs.statistics import rank_correlation, t_quantile

LONGER, SHORTER, SHARE = 1.3, 0.7, 0.1
"""What is said aloud of drift: answers 30 % longer or shorter, or 10 points more of them cut off or repeated."""
MEASURES = (
    ("tokens", "rollout/answer_tokens", BLUE),
    ("capped", "rollout/capped", ORANGE),
    ("repetition", "rollout/repetition", GREEN),
)
LOW = 0.3
"""A rank correlation below this hardly is one."""


def scores(run: RunData, say: Texts) -> str:
    """Gold reward and learned reward on held-out prompts, over the updates."""
    points = evaluations.points(run)
    gold = [p for p in points if p.gold_reward is not None]
    parts = []
    if gold:
        updates, means = _columns(gold, "update", "gold_reward")
        half = _t(run) * np.array([p.error for p in gold])
        band = Curve(updates, means, GREEN, low=means - half, high=means + half)
        dots = Curve(updates, means, GREEN, style="-o", size=4)
        parts.append(Panel(say("gold_reward"), [band, dots]))
    lines = _practice(run, "objective/scores", BLUE)
    proxy = [p for p in points if p.proxy_reward is not None]
    if proxy:
        lines.append(Curve(*_columns(proxy, "update", "proxy_reward"), BLUE, style="-o", size=4))
    if lines:
        parts.append(Panel(say("proxy_reward"), lines))
    if not parts:
        return page.section(say("scores"), say("scores_none"), "", kind="broad")
    told = [
        say("scores_say", prompts=evaluations.prompts(run)),
        say("scores_interval" if gold else "scores_alone"),
    ]
    if run.labels:
        told += [say("scores_unit") if evaluations.learned_alone(run) else "", say("curve_say_people")]
    rug = Marks(data.rounds(run.rows, "update"), say("asked"))
    drawn = panels(parts, say("updates"), say("scores"), rug)
    return page.section(say("scores"), say.join(told), page.picture(drawn))


def over(run: RunData, say: Texts) -> str:
    """Rewards against the distance from the start, in the order of training; nothing without evaluations."""
    points = [p for p in evaluations.points(run) if p.kl is not None]
    checks, course = evaluations.checks(run), evaluations.course(run)
    result = _course(course, say)
    parts = []
    for name, colour in (("gold_reward", GREEN), ("proxy_reward", BLUE)):
        known = [p for p in points if getattr(p, name) is not None]
        if known:
            parts.append(Panel(say(name), _path(run, known, name, colour, say)))
    if checks:
        parts.append(
            Panel(say("judged"), [_wins(run, checks, say)], percents=True, level=Level(0.5, say("as_good")))
        )
    known = any(p.gold_reward is not None for p in points)
    told = [say("over_say" if known else "over_say_people")]
    told = told if parts else [say("over_no_kl")]
    if checks:
        told.append(say("judged_say", count=round(float(np.mean([check.count for check in checks])))))
    body = page.picture(panels(parts, say("kl_axis"), say("over"), whole=False)) if parts else ""
    if not parts and course is None:
        return ""
    return page.section(say("over"), say.join(told), body, result)


def distance(run: RunData, say: Texts) -> str:
    """KL and entropy over the updates; nothing where neither was measured.

    Evaluations measure KL from the model as it started, practice from the model that the price of KL is to.
    """
    best = kl.best_of_n_kl(DRAWS)
    practised = _practice(run, "objective/kl_per_answer", BLUE)
    apart = run.config.get("reference") not in (None, run.config.get("start"))
    lines = [] if apart else practised
    points = [p for p in evaluations.points(run) if p.kl is not None]
    if points:
        lines.append(Curve(*_columns(points, "update", "kl"), BLUE, style="-o", size=4))
    parts = []
    if lines:
        near = max(float(line.y.max()) for line in lines) > best / 2
        level = Level(best, say("best_level", draws=DRAWS, kl=best)) if near else None
        parts.append(Panel(say("kl_per_answer"), lines, level=level))
    if apart and practised:
        parts.append(Panel(say("kl_reference"), practised))
    entropy = _practice(run, "objective/entropy", ORANGE)
    if entropy:
        parts.append(Panel(say("entropy"), entropy))
    if not parts:
        return ""
    result = ""
    if points:
        result = say("best_of_n", draws=DRAWS, best=best, kl=_last_kl(run, points))
    drawn = panels(parts, say("updates"), say("distance"))
    return page.section(say("distance"), say("distance_say"), page.picture(drawn), result)


def _last_kl(run: RunData, points: Sequence[Point]) -> float:
    last = evaluations.value(run.result, "kl_per_answer")
    return float(points[-1].kl or 0.0) if last is None else last


def _practice(run: RunData, name: str, colour: str) -> list[Curve]:
    """A metric of the answers that the model practised on."""
    updates, values = data.series(run.rows, name, "update")
    if not len(updates):
        return []
    return [Curve(updates, values, colour, style="-" if len(updates) > 1 else "o", faint=True)]


def _columns(points: Sequence[Point], *names: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.array([getattr(p, name) for p in points], dtype=np.float64) for name in names)
    return x, y


def _path(run: RunData, points: Sequence[Point], name: str, colour: str, say: Texts) -> list[Curve]:
    """Evaluations joined in the order of training, the newest one and the kept one marked."""
    x, y = _columns(points, "kl", name)
    lines = [Curve(x, y, colour, style="-o", size=4)]
    lines.append(Curve(x[-1:], y[-1:], INK, say("newest"), "D", size=7))
    kept = evaluations.kept_update(run)
    at = [i for i, point in enumerate(points) if point.update == kept]
    if at:
        lines.append(Curve(x[at], y[at], INK, say("kept_mark", update=kept), "o", size=12, hollow=True))
    return lines


def _wins(run: RunData, checks: Sequence[Check], say: Texts) -> Curve:
    x, y = (np.array([getattr(check, name) for check in checks]) for name in ("kl", "rate"))
    bounds = np.array([wilson(round(check.rate * check.count), check.count) for check in checks])
    return Curve(x, y, ORANGE, style="-s", low=bounds[:, 0], high=bounds[:, 1], size=4)


def _t(run: RunData) -> float:
    count = evaluations.prompts(run)
    return t_quantile(0.95, count - 1) if count > 1 else 0.0


def _course(course: Course | None, say: Texts) -> str:
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
    return percent(value) if course.by == "judgements" else number(value)


@dataclass(frozen=True)
class Drift:
    """A measure at the start and now."""

    before: float
    now: float


def drift(run: RunData, say: Texts) -> str:
    """The card; nothing where nothing was measured."""
    parts = []
    for name, practised, colour in MEASURES:
        lines = []
        updates, values = data.series(run.rows, practised, "update")
        if len(updates):
            style = "-" if len(updates) > 1 else "o"
            lines.append(Curve(updates, values, colour, style=style, faint=True))
        updates, values = evaluations.evaluated(run, name)
        if len(updates):
            lines.append(Curve(updates, values, colour, style="-o", size=4))
        if lines:
            parts.append(Panel(say(name), lines, percents=name != "tokens"))
    if not parts:
        return ""
    cap = (run.config.get("environment") or {}).get("max_new_tokens", "–")
    drawn = panels(parts, say("updates"), say("drift"))
    warnings = warned(run, say)
    body = "".join(page.paragraph(warning, "notice") for warning in warnings) + page.picture(drawn)
    calm = "" if warnings or drifted(run, "tokens") is None else say("drift_none")
    return page.section(say("drift"), say("drift_say", cap=cap), body, calm)


def warned(run: RunData, say: Texts) -> list[str]:
    """A sentence for each measure that drifted a lot."""
    sentences = []
    length = drifted(run, "tokens")
    if length is not None and not SHORTER * length.before <= length.now <= LONGER * length.before:
        name = "drift_longer" if length.now > length.before else "drift_shorter"
        sentences.append(say(name, before=number(length.before), now=number(length.now)))
    for name in ("capped", "repetition"):
        share = drifted(run, name)
        if share is not None and share.now - share.before > SHARE:
            sentences.append(say(f"drift_{name}", before=percent(share.before), now=percent(share.now)))
    return sentences


def drifted(run: RunData, name: str) -> Drift | None:
    """A measure of the answers to the held-out prompts, of the model as it started and of the newest (or kept) one."""
    updates, values = evaluations.evaluated(run, name)
    result = run.result
    before = evaluations.value(result.get("before") or {}, name)
    now = evaluations.value(result, name)
    if before is None and len(values) and updates[0] == 0:
        before = float(values[0])
    if now is None and len(values) > 1:
        now = float(values[-1])
    return None if before is None or now is None else Drift(before, now)


def agreement(run: RunData, say: Texts) -> str:
    """Learned reward against gold reward of every held-out answer; nothing where one of them is not known."""
    before, after = (evaluations.answer_scores(run, which) for which in ("before", "after"))
    if not before or not after:
        return ""
    groups = [
        Curve(before["gold_reward"], before["proxy_reward"], ORANGE, say("model_before"), "s"),
        Curve(after["gold_reward"], after["proxy_reward"], BLUE, say("model_after"), "o"),
    ]
    drawn = scatter(groups, Labels(say("gold_reward"), say("proxy_reward"), say("agree_answers")))
    return page.section(
        say("agree_answers"), say("agree_answers_say"), page.picture(drawn), _correlations(before, after, say)
    )


def _correlations(before: dict[str, np.ndarray], after: dict[str, np.ndarray], say: Texts) -> str:
    both = {name: np.concatenate([before[name], after[name]]) for name in before}
    whole, first, last = (
        rank_correlation(x["gold_reward"], x["proxy_reward"]) for x in (both, before, after)
    )
    sentences = [say("agree_answers_number", all=whole, before=first, after=last)]
    if np.isnan(last):
        sentences.append(say("agree_answers_one"))
    elif last < LOW and len(after["gold_reward"]) >= FEW:
        sentences.append(say("agree_answers_low"))
    return say.join(sentences)
