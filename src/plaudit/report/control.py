"""The report of a control run: what only it has. Its policies are loaded and played again, so it needs the environment.

Every part is left out, with its reason, where its data are missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from plaudit.errors import PlauditError
from plaudit.report import data, evaluations, page, rollouts, sections
from plaudit.report.charts import BLUE, GREEN, ORANGE, Curve, Labels, Marks, curves, scatter
from plaudit.report.data import RunData, Series
from plaudit.report.evaluations import FEW, Forecasts
from plaudit.report.page import Part, Summary
from plaudit.report.rollouts import Models, Scored
from plaudit.report.seeds import Measure, View
from plaudit.report.texts import Texts, number
from plaudit.runs.returns import Change, Returns, change
from plaudit.runs.statistics import rank_correlation


def part(run: RunData, say: Texts) -> Part:
    """What there is to say about a run, finished or not."""
    played = _played(run)
    models, returns = played.models, played.returns
    forecasts = evaluations.read(run.rows)
    top = _headline(run, forecasts, returns, say)
    top += "".join(page.paragraph(say("trouble", reason=trouble), "notice") for trouble in played.troubles)
    cards = [film(run, models, say), learning_curve(run, say)]
    if run.asks_people:
        cards.append(by_labels(run, say))
        cards.append(evaluations.accuracy_section(run, forecasts, say))
        cards.append(evaluations.calibration_section(run, forecasts, say))
    cards.append(agreement(run, models, say))
    if run.asks_people:
        cards.append(sections.answers(run, "true_return", say))
    name = subject(run, say) or run.folder.path.name
    whole = top + '<div class="grid">\n' + "".join(cards) + "</div>\n" + sections.details(run, say)
    return Part(run.medium, say("title", environment=name), whole, _summary(run, name, returns, say))


def view(runs: Sequence[RunData]) -> View:
    """How runs with different seeds are shown together: by their true return."""
    return View(
        (Measure("true_return", "return_mean"),),
        _practice,
        "true_return",
        "curve",
        "curve_none",
        "steps",
        lambda run: run.timesteps,
    )


def speaking(run: RunData, say: Texts) -> Texts:
    """The texts as they speak of this run."""
    return say


def subject(run: RunData, say: Texts) -> str | None:
    """What it learned about: the name of the environment."""
    return run.environment


def _practice(run: RunData) -> Series:
    x, y = data.series(run.rows, "rollout/ep_rew_mean")
    return x, data.smoothed(y, _width(y))


def _summary(run: RunData, name: str, returns: tuple[Returns, Returns] | None, say: Texts) -> Summary:
    values = "–" if returns is None else f"{number(returns[0].mean)} → {number(returns[1].mean)}"
    what = say("joint_what", algorithm=sections.algorithm(run.config), name=name)
    return Summary(what, run.labels, say("true_return"), values, say(f"joint_{verdict(run, returns)}"))


@dataclass(frozen=True)
class _Played:
    """The models and the true returns before and after, or why there are none."""

    models: Models | None = None
    returns: tuple[Returns, Returns] | None = None
    troubles: tuple[str, ...] = ()


def _played(run: RunData) -> _Played:
    try:
        models = rollouts.models(run)
    except PlauditError as error:
        return _Played(troubles=(str(error),))
    try:
        return _Played(models, rollouts.returns(run, models))
    except PlauditError as error:
        return _Played(models, troubles=(str(error),))


def _headline(run: RunData, forecasts: Forecasts, returns: tuple[Returns, Returns] | None, say: Texts) -> str:
    """The lead, the state of the run, the numbers and the verdict."""
    body = page.paragraph(_lead(run, say), "lead") + sections.status(run, say)
    body += '<div class="tiles">\n' + _tiles(run, forecasts, returns, say) + "</div>\n"
    return body + _verdict(run, returns, say)


def _lead(run: RunData, say: Texts) -> str:
    config, name = run.config, sections.algorithm(run.config)
    reward = config.get("reward") or {}
    weights = reward.get("weights") or {}
    if not config:
        return ""
    if config.get("pairs"):
        return say("from_pairs", algorithm=name)
    parts = {key for key, weight in weights.items() if weight}
    if run.asks_people:
        sentences = [sections.asked("from_people", run, say)]
    elif "learned" in parts:
        sentences = [say("from_model", algorithm=name)]
    elif "discriminator" in parts:
        discriminator = sections.algorithm({"algorithm": reward.get("discriminator", "gail")})
        sentences = [say("from_demonstrations", algorithm=name, discriminator=discriminator)]
    elif parts - {"environment"}:
        shown = ", ".join(f"{key} {weight:g}" for key, weight in weights.items() if weight)
        return say("from_functions", algorithm=name, weights=shown)
    else:
        return say("plain", algorithm=name)
    if weights.get("environment"):
        shown = ", ".join(f"{key} {value:g}" for key, value in weights.items())
        sentences.append(say("mixed_reward", weights=shown))
    else:
        sentences.append(say("no_reward_seen"))
    return say.join(sentences)


def _tiles(run: RunData, forecasts: Forecasts, returns: tuple[Returns, Returns] | None, say: Texts) -> str:
    tiles = []
    if returns is not None:
        before, after = returns
        value = f"{number(before.mean)} → {number(after.mean)}"
        note = say(
            "tile_return_note",
            before=before.episodes,
            after=after.episodes,
            before_std=before.std,
            after_std=after.std,
        )
        tiles.append(page.tile(value, say("tile_return"), note, "wide"))
    tiles += sections.answer_tiles(run, forecasts, say)
    planned = run.config.get("timesteps") or run.timesteps
    part = "tile_steps_note" if run.timesteps >= planned else "tile_steps_part"
    note = say(part, planned=planned, time=sections.time(run, say))
    tiles.append(page.tile(f"{run.timesteps:,}", say("tile_steps"), note))
    return "".join(tiles)


def verdict(run: RunData, returns: tuple[Returns, Returns] | None) -> str:
    """better, worse or unclear, by the likeliest actions before and after; differs where drawn ones say the opposite;
    unknown where the run did not get far enough."""
    changed, drawn = _change(run, returns), _change(run, rollouts.recorded(run, "_drawn"))
    if changed is None:
        return "unknown"
    if drawn is not None and {changed.verdict, drawn.verdict} == {"better", "worse"}:
        return "differs"
    return changed.verdict


def _change(run: RunData, returns: tuple[Returns, Returns] | None) -> Change | None:
    return None if returns is None or not run.rows else change(*returns)


def _verdict(run: RunData, returns: tuple[Returns, Returns] | None, say: Texts) -> str:
    changed = _change(run, returns)
    if changed is None:
        return page.paragraph(say("verdict_unknown"), "verdict")
    low, high = sorted((abs(changed.low), abs(changed.high)))
    if changed.verdict == "unclear":
        low, high = changed.low, changed.high
    gain = changed.gain if changed.verdict == "unclear" else abs(changed.gain)
    whole = verdict(run, returns)
    kind = {"better": "verdict good", "worse": "verdict bad"}.get(whole, "verdict")
    told = page.paragraph(say(f"verdict_{changed.verdict}", gain=gain, low=low, high=high), kind)
    told += _by_drawn(run, changed, say)
    if run.asks_people and run.simulated == 0:
        told += page.paragraph(say("own_wish", labels=run.labels))
    elif whole == "worse" and run.asks_people:
        told += page.paragraph(say("misled"))
    return told + page.paragraph(say("one_seed"), "small")


def _by_drawn(run: RunData, changed: Change, say: Texts) -> str:
    """What drawn actions say, where it is something else; nothing where they were not measured."""
    returns = rollouts.recorded(run, "_drawn")
    drawn = _change(run, returns)
    if returns is None or drawn is None or drawn.verdict == changed.verdict:
        return ""
    before, after = (number(one.mean) for one in returns)
    return page.paragraph(say(f"drawn_{drawn.verdict}", before=before, after=after))


def learning_curve(run: RunData, say: Texts) -> str:
    """True return against environment steps, with the moments when answers came in."""
    steps, values = data.series(run.rows, "rollout/ep_rew_mean")
    at, means = data.series(run.rows, "eval/return_mean")
    lines = []
    if len(steps):
        smooth = data.smoothed(values, _width(values))
        lines = [
            Curve(steps, values, BLUE, style="-", faint=True),
            Curve(steps, smooth, BLUE, say("average"), style="-" if len(steps) > 1 else "o"),
        ]
    if len(at):
        where, stds = data.series(run.rows, "eval/return_std")
        stds = np.array([stds[where == place][0] if (where == place).any() else 0.0 for place in at])
        lines.append(Curve(at, means, GREEN, say("evaluated"), "s", low=means - stds, high=means + stds))
    if not lines:
        return page.section(say("curve"), say("curve_none"), "", kind="broad")
    title = say.join([say("curve_say"), say("curve_say_people") if run.asks_people else ""])
    labels = Labels(say("steps"), say("true_return"), say("curve"))
    drawn = curves(lines, labels, Marks(data.rounds(run.rows), say("asked")))
    return page.section(say("curve"), title, page.picture(drawn), kind="" if run.asks_people else "broad")


def by_labels(run: RunData, say: Texts) -> str:
    """True return against the number of answers; nothing before there are two numbers of answers."""
    counts, means = data.return_by_labels(run.rows)
    if len(counts) < 2:
        return ""
    lines = [Curve(counts, means, BLUE, say("average"), "-o")]
    _, values = data.series(run.rows, "rollout/ep_rew_mean")
    width = _width(values)
    if sum(row.get("feedback/labels") == counts[-1] for row in run.rows) > max(
        4, 2 * width
    ):  # practice without answers
        end = data.smoothed(values, width)[-1:]
        lines.append(Curve(counts[-1:], end, ORANGE, say("by_labels_end"), "D"))
    drawn = curves(lines, Labels(say("answers"), say("true_return"), say("by_labels")))
    return page.section(say("by_labels"), say("by_labels_say"), page.picture(drawn))


def agreement(run: RunData, models: Models | None, say: Texts) -> str:
    """Learned against true return; nothing where no reward was learned."""
    if models is None or models.reward is None:
        return ""
    try:
        both = rollouts.scored(run, models)
    except PlauditError as error:
        return page.section(say("agree"), say("trouble", reason=str(error)), "")
    groups = [
        Curve(both.before.true, both.before.learned, ORANGE, say("policy_before"), "s"),
        Curve(both.after.true, both.after.learned, BLUE, say("policy_after"), "o"),
    ]
    drawn = scatter(groups, Labels(say("true_return"), say("learned_return"), say("agree")))
    title = (
        say("agree_say_episodes") if both.length is None else say("agree_say_segments", length=both.length)
    )
    return page.section(say("agree"), title, page.picture(drawn), _correlations(both, say))


def _correlations(both: Scored, say: Texts) -> str:
    before, after = both.before, both.after
    together = rank_correlation(
        np.concatenate([before.true, after.true]), np.concatenate([before.learned, after.learned])
    )
    within = rank_correlation(after.true, after.learned) if len(after.true) > 1 else float("nan")
    sentences = [say("agree_number", all=together, after=within)]
    if isnan(within):
        sentences.append(say("agree_one"))
    elif within < 0.3 and len(after.true) >= FEW:
        sentences.append(say("agree_low"))
    return " ".join(sentences)


def film(run: RunData, models: Models | None, say: Texts) -> str:
    """Clips of the policy before and after; nothing where there is no policy."""
    if models is None:
        return ""
    try:
        shown = rollouts.clips(run, models)
    except PlauditError as error:
        return page.section(say("clips"), say("no_clip", reason=str(error)), "", kind="broad")
    figures = []
    for clip, which in zip(shown, (say("before"), say("after")), strict=True):
        short = "" if clip.whole else say("clip_part", steps=clip.steps)
        caption = say.join([say("clip_caption", which=which, value=number(clip.true_return)), short])
        image = f'<img src="{clip.uri}" alt="{page.text(caption)}">'
        figures.append(f"<figure>{image}<figcaption>{page.text(caption)}</figcaption></figure>")
    body = f'<div class="clips">{"".join(figures)}</div>\n'
    return page.section(say("clips"), say("clips_say", starts=rollouts.STARTS), body, kind="broad")


def _width(values: np.ndarray) -> int:
    """Updates that the thick line averages over."""
    return max(1, len(values) // 12)
