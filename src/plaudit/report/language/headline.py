"""The top of a language run's page: what was learned from how many answers, what came out, and what it cost."""

from pathlib import Path

from plaudit.maths.intervals import wilson
from plaudit.report import opening, page
from plaudit.report.evidence import Evidence
from plaudit.report.forecasts import Forecasts
from plaudit.report.language import overoptimisation, trace
from plaudit.report.page import Summary
from plaudit.report.words import Words, interval, number, percent

LEAST = 10
"""Held-out prompts that a verdict takes."""
SERVICE = "service"
"""The config's name for the service dialogues that plaudit generates; the config itself would load transformers."""


def headline(run: Evidence, found: Forecasts, say: Words) -> str:
    """The lead, the state of the run, the numbers and the verdict."""
    body = page.paragraph(_lead(run, say), "lead") + opening.status(run, say)
    body += "".join(page.paragraph(str(note), "small") for note in run.manifest.get("notes") or ())
    body += '<div class="tiles">\n' + "".join(_tiles(run, found, say)) + "</div>\n"
    return body + _verdict(run, say)


def summary(run: Evidence, say: Words) -> Summary:
    """The run in one row."""
    what = say("joint_what", algorithm=opening.algorithm(run.config), name=prompts(run, say))
    name, found, kind = measure(run), trace.result(run), verdict(run)
    said = say(f"joint_{kind}")
    if kind != "unknown":
        low_high = interval(found["win_low"], found["win_high"])
        said = say("joint_wins", verdict=said, rate=percent(found["win_rate"]), low_high=low_high)
    return Summary(what, run.labels, say(name), _change(run, name), said)


def prompts(run: Evidence, say: Words) -> str:
    """What the model answered: the service dialogues, or the name of a file."""
    name = (run.config.get("language") or {}).get("prompts")
    return say("service") if name == SERVICE else Path(str(name or run.folder.path)).name


def measure(run: Evidence) -> str:
    """hidden_score, or proxy_score where there is no hidden one."""
    known = any(point.hidden is not None for point in trace.points(run))
    return "hidden_score" if known or run.config.get("hidden") else "proxy_score"


def speaking(run: Evidence, say: Words) -> Words:
    """The words of this run: they know what it is trained on."""
    return say.knowing(proxy=say("learned_reward" if trace.learned_alone(run) else "given_reward"))


def verdict(run: Evidence) -> str:
    """better, worse, unclear, few where the prompts are too few to say, or unknown where the run did not get far
    enough."""
    found = trace.result(run)
    low, high = trace.value(found, "win_low"), trace.value(found, "win_high")
    if low is None or high is None:
        return "unknown"
    if trace.prompts(run) < LEAST:
        return "few"
    return "better" if low > 0.5 else "worse" if high < 0.5 else "unclear"


def _lead(run: Evidence, say: Words) -> str:
    if not run.config:
        return ""
    name, reward = opening.algorithm(run.config), run.config.get("reward") or {}
    weights = {key: value for key, value in (reward.get("weights") or {"learned": 1.0}).items() if value}
    shown = ", ".join(f"{key} {value:g}" for key, value in weights.items())
    said = []
    if run.asks_people:
        said.append(say("language_people", labels=run.labels, algorithm=name))
        people = (run.config.get("feedback") or {}).get("people") or []
        if people:
            said.append(say("simulated_one") if len(people) == 1 else say("simulated", people=len(people)))
    else:
        said.append(say("language_model" if "learned" in weights else "language_plain", algorithm=name))
    if set(weights) - {"learned"}:
        said.append(say("language_functions", weights=shown))
    said.append(say("language_hidden" if measure(run) == "hidden_score" else "language_no_hidden"))
    return say.join(said)


def _tiles(run: Evidence, found: Forecasts, say: Words) -> list[str]:
    result, made = trace.result(run), []
    rate, low, high = (trace.value(result, f"win_{name}") for name in ("rate", "low", "high"))
    if rate is not None and low is not None and high is not None:
        note = say(
            "tile_wins_note",
            low_high=interval(low, high),
            prompts=trace.prompts(run),
            ties=percent(trace.value(result, "win_ties") or 0.0),
        )
        made.append(page.tile(percent(rate), say("tile_wins"), note))
    name = measure(run)
    if (change := _change(run, name)) != "–":
        note = say(
            "tile_hidden_note" if name == "hidden_score" else "tile_proxy_note", prompts=trace.prompts(run)
        )
        made.append(page.tile(change, say("tile_change", measure=say(name)), note, "wide"))
    distances = [point.kl for point in trace.points(run) if point.kl is not None]
    distance = trace.value(result, "kl_per_answer") if result else (distances[-1] if distances else None)
    if distance is not None:
        made.append(page.tile(number(distance), say("tile_kl"), say("tile_kl_note")))
    made += opening.tiles(run, found, say)
    return [*made, _updates(run, say)]


def _updates(run: Evidence, say: Words) -> str:
    done = trace.updates(run)
    planned = run.config.get("updates", done)
    whole = done >= planned or run.manifest.get("status") == "finished"
    note = say(
        "tile_steps_note" if whole else "tile_steps_part", planned=planned, time=opening.time(run, say)
    )
    return page.tile(f"{done:,}", say("updates"), note)


def _change(run: Evidence, name: str) -> str:
    """A score before and after; the newest evaluation stands for what is not finished."""
    field = {"hidden_score": "hidden", "proxy_score": "proxy"}[name]
    result = trace.result(run)
    ends = [trace.value(found, f"{field}_mean") for found in (result.get("before") or {}, result)]
    if None in ends:
        values = [getattr(point, field) for point in trace.points(run)]
        ends = [values[0], values[-1]] if len(values) > 1 else [None]
    return "–" if None in ends else " → ".join(number(end) for end in ends if end is not None)


def _verdict(run: Evidence, say: Words) -> str:
    found, kind = trace.result(run), verdict(run)
    if kind == "unknown":
        return page.paragraph(say("verdict_unknown"), "verdict") + _warning(run, say)
    hidden = measure(run) == "hidden_score"
    shown = {"better": "verdict good", "worse": "verdict bad", "unclear": "verdict", "few": "verdict"}[kind]
    values = {"rate": percent(found["win_rate"]), "low_high": interval(found["win_low"], found["win_high"])}
    name = f"{'wins' if hidden else 'scored'}_{kind}"
    said = page.paragraph(
        say(name, prompts=trace.prompts(run), least=LEAST, **values), shown if hidden else "verdict"
    )
    said += page.paragraph(say("wins_by_hidden"), "small") if hidden else _people(run, say)
    if (kept := trace.kept(run)) is not None:
        said += page.paragraph(say("kept_one" if kept else "kept_start", kept=kept, last=trace.updates(run)))
    return said + _warning(run, say) + page.paragraph(say("one_seed"), "small")


def _people(run: Evidence, say: Words) -> str:
    """What people said of the model at the end, where no hidden score can say it."""
    result = trace.result(run)
    of_this = [
        check for check in trace.judged(run) if check.update == result.get("kept_update") and check.count
    ]
    if not of_this:
        return page.paragraph(say("wins_by_proxy"))
    rate, count = of_this[-1].rate, of_this[-1].count
    low_high = interval(*wilson(round(rate * count), count))
    return page.paragraph(say("wins_by_people", count=count, rate=percent(rate), low_high=low_high))


def _warning(run: Evidence, say: Words) -> str:
    """What the first screen must not hide."""
    course, kept = overoptimisation.course(run), trace.kept(run)
    if course is None or not course.seen:
        return ""
    escaped = kept is not None and kept <= course.peak
    return page.paragraph(
        say("over_escaped" if escaped else "over_warning"), "small" if escaped else "notice"
    )
