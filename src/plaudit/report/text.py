"""The report of a language run: what only it has. Neither models nor environments are loaded for it.

Every part is left out, with its reason, where its data are missing.
"""

from collections.abc import Sequence
from pathlib import Path

from plaudit.maths.intervals import wilson
from plaudit.report import evaluations, page, sections, text_curves
from plaudit.report.data import RunData
from plaudit.report.evaluations import Forecasts
from plaudit.report.page import Part, Summary
from plaudit.report.sections import samples
from plaudit.report.seeds import Measure, View
from plaudit.report.texts import Texts, interval, number, percent

LEAST = 10
"""Held-out prompts that a verdict takes."""
SERVICE = "service"
"""The config's name for the service dialogues that plaudit generates; the config itself would load transformers."""


def part(run: RunData, say: Texts) -> Part:
    """What there is to say about a run, finished or not."""
    say, forecasts = speaking(run, say), evaluations.read(run.rows)
    cards = [samples(run, say), text_curves.scores(run, say), text_curves.over(run, say)]
    cards += [text_curves.distance(run, say), text_curves.drift(run, say), text_curves.agreement(run, say)]
    if run.asks_people or len(forecasts.outcomes):
        cards.append(evaluations.accuracy_section(run, forecasts, say))
        cards.append(evaluations.calibration_section(run, forecasts, say))
        cards.append(sections.answers(run, "gold_reward", say))
    whole = _headline(run, forecasts, say)
    whole += '<div class="grid">\n' + "".join(cards) + "</div>\n" + sections.details(run, say)
    title = say("language_title", prompts=subject(run, say))
    return Part(run.medium, title, whole, summary(run, say))


def view(runs: Sequence[RunData]) -> View:
    """How runs with different seeds are shown together: by wins, and by the gold reward; by the proxy where a run has
    no gold reward."""
    name = "gold_reward" if all(measure(run) == "gold_reward" for run in runs) else "proxy_reward"
    return View(
        (
            Measure("win_rate", "win_rate", share=True),
            Measure(name, f"{name}_mean"),
            Measure("kl_per_answer", "kl_per_answer", at_top=False),
        ),
        lambda run: evaluations.evaluated(run, f"{name}_mean"),
        name,
        "scores",
        "scores_none",
        "updates",
        evaluations.updates,
        "seeds_wins",
    )


def speaking(run: RunData, say: Texts) -> Texts:
    """The words of this run: they know what it is trained on."""
    return say.knowing(proxy=say("learned_reward" if evaluations.learned_alone(run) else "given_reward"))


def subject(run: RunData, say: Texts) -> str:
    """What the model answered: the service dialogues, or the name of a file."""
    name = (run.config.get("environment") or {}).get("prompts")
    return say("service") if name == SERVICE else Path(str(name or run.folder.path)).name


def summary(run: RunData, say: Texts) -> Summary:
    """The run in one row."""
    what = say("joint_what", algorithm=sections.algorithm(run.config), name=subject(run, say))
    name, result, kind = measure(run), run.result, verdict(run)
    told = say(f"joint_{kind}")
    if kind != "unknown":
        low_high = interval(result["win_low"], result["win_high"])
        told = say("joint_wins", verdict=told, rate=percent(result["win_rate"]), low_high=low_high)
    return Summary(what, run.labels, say(name), _change(run, name), told)


def measure(run: RunData) -> str:
    """gold_reward, or proxy_reward where there is no gold one."""
    known = any(point.gold_reward is not None for point in evaluations.points(run))
    return "gold_reward" if known or run.config.get("gold_reward") else "proxy_reward"


def verdict(run: RunData) -> str:
    """better, worse, unclear, few where the prompts are too few to say, or unknown where the run did not get far
    enough."""
    low, high = (evaluations.value(run.result, name) for name in ("win_low", "win_high"))
    if low is None or high is None:
        return "unknown"
    if evaluations.prompts(run) < LEAST:
        return "few"
    return "better" if low > 0.5 else "worse" if high < 0.5 else "unclear"


def _headline(run: RunData, forecasts: Forecasts, say: Texts) -> str:
    """The lead, the state of the run, the numbers and the verdict."""
    body = page.paragraph(_lead(run, say), "lead") + sections.status(run, say)
    body += "".join(page.paragraph(str(note), "small") for note in run.manifest.get("notes") or ())
    body += '<div class="tiles">\n' + "".join(_tiles(run, forecasts, say)) + "</div>\n"
    return body + _verdict(run, say)


def _lead(run: RunData, say: Texts) -> str:
    if not run.config:
        return ""
    name, reward = sections.algorithm(run.config), run.config.get("reward") or {}
    weights = {key: value for key, value in (reward.get("weights") or {"learned": 1.0}).items() if value}
    shown = ", ".join(f"{key} {value:g}" for key, value in weights.items())
    sentences = []
    if run.asks_people:
        sentences.append(sections.asked("language_people", run, say))
    elif run.config.get("pairs"):
        sentences.append(say("language_pairs", algorithm=name))
    else:
        sentences.append(say("language_model" if "learned" in weights else "language_plain", algorithm=name))
    if set(weights) - {"learned"} and not run.config.get("pairs"):
        sentences.append(say("language_functions", weights=shown))
    sentences.append(
        say("language_gold_reward" if measure(run) == "gold_reward" else "language_no_gold_reward")
    )
    return say.join(sentences)


def _tiles(run: RunData, forecasts: Forecasts, say: Texts) -> list[str]:
    result, tiles = run.result, []
    rate, low, high = (evaluations.value(result, f"win_{name}") for name in ("rate", "low", "high"))
    if rate is not None and low is not None and high is not None:
        note = say(
            "tile_wins_note",
            low_high=interval(low, high),
            prompts=evaluations.prompts(run),
            ties=percent(evaluations.value(result, "win_ties") or 0.0),
        )
        tiles.append(page.tile(percent(rate), say("tile_wins"), note))
    name = measure(run)
    if (change := _change(run, name)) != "–":
        note = say(
            "tile_gold_reward_note" if name == "gold_reward" else "tile_proxy_reward_note",
            prompts=evaluations.prompts(run),
        )
        tiles.append(page.tile(change, say("tile_change", measure=say(name)), note, "wide"))
    distances = [point.kl for point in evaluations.points(run) if point.kl is not None]
    distance = (
        evaluations.value(result, "kl_per_answer") if result else (distances[-1] if distances else None)
    )
    if distance is not None:
        tiles.append(page.tile(number(distance), say("tile_kl"), say("tile_kl_note")))
    tiles += sections.answer_tiles(run, forecasts, say)
    return [*tiles, _updates(run, say)]


def _updates(run: RunData, say: Texts) -> str:
    done = evaluations.updates(run)
    planned = run.config.get("updates") or done
    whole = done >= planned or run.manifest.get("status") == "finished"
    note = say(
        "tile_steps_note" if whole else "tile_steps_part", planned=planned, time=sections.time(run, say)
    )
    return page.tile(f"{done:,}", say("updates"), note)


def _change(run: RunData, name: str) -> str:
    """A score before and after; the newest evaluation stands for what is not finished."""
    result = run.result
    ends = [evaluations.value(row, f"{name}_mean") for row in (result.get("before") or {}, result)]
    if None in ends:
        values = [getattr(point, name) for point in evaluations.points(run)]
        ends = [values[0], values[-1]] if len(values) > 1 else [None]
    return "–" if None in ends else " → ".join(number(end) for end in ends if end is not None)


def _verdict(run: RunData, say: Texts) -> str:
    result, kind = run.result, verdict(run)
    if kind == "unknown":
        return page.paragraph(say("verdict_unknown"), "verdict") + _warning(run, say)
    gold = measure(run) == "gold_reward"
    shown = {"better": "verdict good", "worse": "verdict bad", "unclear": "verdict", "few": "verdict"}[kind]
    values = {
        "rate": percent(result["win_rate"]),
        "low_high": interval(result["win_low"], result["win_high"]),
    }
    name = f"{'wins' if gold else 'scored'}_{kind}"
    told = page.paragraph(
        say(name, prompts=evaluations.prompts(run), least=LEAST, **values), shown if gold else "verdict"
    )
    told += page.paragraph(say("wins_by_gold_reward"), "small") if gold else _people(run, say)
    if (kept := evaluations.kept_update(run)) is not None:
        told += page.paragraph(
            say("kept_one" if kept else "kept_start", kept=kept, last=evaluations.updates(run))
        )
    return told + _warning(run, say) + page.paragraph(say("one_seed"), "small")


def _people(run: RunData, say: Texts) -> str:
    """What people said of the model at the end, where no gold reward can say it."""
    result = run.result
    of_this = [
        check
        for check in evaluations.checks(run)
        if check.update == result.get("kept_update") and check.count
    ]
    if not of_this:
        return page.paragraph(say("wins_by_proxy_reward"))
    rate, count = of_this[-1].rate, of_this[-1].count
    low_high = interval(*wilson(round(rate * count), count))
    return page.paragraph(say("wins_by_people", count=count, rate=percent(rate), low_high=low_high))


def _warning(run: RunData, say: Texts) -> str:
    """What the first screen must not hide."""
    course, kept = evaluations.course(run), evaluations.kept_update(run)
    if course is None or not course.seen:
        return ""
    escaped = kept is not None and kept <= course.peak
    return page.paragraph(
        say("over_escaped" if escaped else "over_warning"), "small" if escaped else "notice"
    )
