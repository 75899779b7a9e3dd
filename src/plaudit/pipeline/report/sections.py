"""The sections with figures: each says in a sentence what it shows and how to read it."""

from math import isnan

import numpy as np

from plaudit.errors import PlauditError
from plaudit.pipeline.report import clips, evidence, forecasts, page
from plaudit.pipeline.report.behaviour import Models, Scored, scored
from plaudit.pipeline.report.evidence import Evidence
from plaudit.pipeline.report.figures import BLUE, GREEN, ORANGE, Curve, Labels, curves, reliability, scatter
from plaudit.pipeline.report.figures import accuracy as accuracy_figure
from plaudit.pipeline.report.forecasts import Forecasts, Share
from plaudit.pipeline.report.words import Words, interval, number, percent
from plaudit.pipeline.run_folder import seed_of
from plaudit.pipeline.statistics import rank_correlation, wilson

FEW = 30
"""With fewer forecasts than this nothing is said about calibration."""


def learning_curve(run: Evidence, say: Words) -> str:
    """True return against environment steps, with the moments when answers came in."""
    steps, values = evidence.series(run.rows, "rollout/ep_rew_mean")
    at, means = evidence.series(run.rows, "eval/return_mean")
    lines = []
    if len(steps):
        smooth = evidence.smoothed(values, _width(values))
        lines = [
            Curve(steps, values, BLUE, style="-", faint=True),
            Curve(steps, smooth, BLUE, say("average"), style="-" if len(steps) > 1 else "o"),
        ]
    if len(at):
        where, stds = evidence.series(run.rows, "eval/return_std")
        stds = np.array([stds[where == place][0] if (where == place).any() else 0.0 for place in at])
        lines.append(Curve(at, means, GREEN, say("evaluated"), "s", low=means - stds, high=means + stds))
    if not lines:
        return page.section(say("curve"), say("curve_none"), "", kind="broad")
    title = say("curve_say") + (say("curve_say_people") if run.asks_people else "")
    labels = Labels(say("steps"), say("true_return"), say("curve"))
    drawn = curves(lines, labels, (evidence.rounds(run.rows), say("asked")))
    return page.section(say("curve"), title, page.picture(drawn), kind="" if run.asks_people else "broad")


def by_labels(run: Evidence, say: Words) -> str:
    """True return against the number of answers; nothing before there are two numbers of answers."""
    counts, means = evidence.return_by_labels(run.rows)
    if len(counts) < 2:
        return ""
    lines = [Curve(counts, means, BLUE, say("average"), "-o")]
    _, values = evidence.series(run.rows, "rollout/ep_rew_mean")
    width = _width(values)
    if sum(row.get("feedback/labels") == counts[-1] for row in run.rows) > max(
        4, 2 * width
    ):  # practice without answers
        end = evidence.smoothed(values, width)[-1:]
        lines.append(Curve(counts[-1:], end, ORANGE, say("by_labels_end"), "D"))
    drawn = curves(lines, Labels(say("answers"), say("true_return"), say("by_labels")))
    return page.section(say("by_labels"), say("by_labels_say"), page.picture(drawn))


def agreement(run: Evidence, models: Models | None, say: Words) -> str:
    """Learned against true return; nothing where no reward was learned."""
    if models is None or models.reward is None:
        return ""
    try:
        found = scored(run, models)
    except PlauditError as error:
        return page.section(say("agree"), say("trouble", reason=str(error)), "")
    groups = [
        Curve(found.before.true, found.before.learned, ORANGE, say("policy_before"), "s"),
        Curve(found.after.true, found.after.learned, BLUE, say("policy_after"), "o"),
    ]
    drawn = scatter(groups, Labels(say("true_return"), say("learned_return"), say("agree")))
    title = (
        say("agree_say_episodes") if found.length is None else say("agree_say_segments", length=found.length)
    )
    return page.section(say("agree"), title, page.picture(drawn), _correlations(found, say))


def _correlations(found: Scored, say: Words) -> str:
    before, after = found.before, found.after
    together = rank_correlation(
        np.concatenate([before.true, after.true]), np.concatenate([before.learned, after.learned])
    )
    within = rank_correlation(after.true, after.learned) if len(after.true) > 1 else float("nan")
    said = [say("agree_number", all=together, after=within)]
    if isnan(within):
        said.append(say("agree_one"))
    elif within < 0.3 and len(after.true) >= FEW:
        said.append(say("agree_low"))
    return " ".join(said)


def accuracy(run: Evidence, found: Forecasts, say: Words) -> str:
    """How often the reward model foresaw answers it had not learned from."""
    if not len(found.outcomes):
        return page.section(say("accuracy"), say("accuracy_none"), "")
    hits, n = int(found.right.sum()), len(found.outcomes)
    result = say("accuracy_number", share=percent(hits / n), count=n, low_high=interval(*wilson(hits, n)))
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


def film(run: Evidence, models: Models | None, say: Words) -> str:
    """Clips of the policy before and after; nothing where there is no policy."""
    if models is None:
        return ""
    try:
        shown = clips.before_and_after(run, models)
    except PlauditError as error:
        return page.section(say("clips"), say("no_clip", reason=str(error)), "", kind="broad")
    figures = []
    for clip, which in zip(shown, (say("before"), say("after")), strict=True):
        caption = say("clip_caption", which=which, value=number(clip.true_return))
        caption += "" if clip.whole else say("clip_part", steps=clip.steps)
        image = f'<img src="{clip.uri}" alt="{page.text(caption)}">'
        figures.append(f"<figure>{image}<figcaption>{page.text(caption)}</figcaption></figure>")
    body = f'<div class="clips">{"".join(figures)}</div>\n'
    return page.section(say("clips"), say("clips_say", starts=clips.STARTS), body, kind="broad")


def _width(values: np.ndarray) -> int:
    """Updates that the thick line averages over."""
    return max(1, len(values) // 12)


def _points(shares: list[Share], colour: str, label: str) -> Curve:
    columns = np.array([(s.at, s.share, s.low, s.high) for s in shares]).T
    return Curve(columns[0], columns[1], colour, label, "o", low=columns[2], high=columns[3])
