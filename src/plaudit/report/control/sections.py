"""The sections with figures: each says in a sentence what it shows and how to read it."""

from math import isnan

import numpy as np

from plaudit.errors import PlauditError
from plaudit.report import evidence, page
from plaudit.report.control import clips
from plaudit.report.control.behaviour import Models, Scored, scored
from plaudit.report.evidence import Evidence
from plaudit.report.figures import BLUE, GREEN, ORANGE, Curve, Labels, curves, scatter
from plaudit.report.forecasts import FEW
from plaudit.report.words import Words, number
from plaudit.runs.statistics import rank_correlation


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
