"""The sections that every run has, whatever learned: its state, its answers, and how to make it again."""

from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from plaudit.errors import PlauditError
from plaudit.maths.intervals import wilson
from plaudit.report import data, page
from plaudit.report.calibration import Forecasts
from plaudit.report.data import AnswerCounts, Medium, Row, RunData, is_number
from plaudit.report.texts import Texts, interval, number, percent

KINDS = ("first", "second", "equal", "both_bad", "skip")
RATES = ("mistakes", "equal", "skip", "agreement")
MODULES: dict[Medium, str] = {"control": "control", "language": "text"}
"""Where the sections of each medium are: `part`, `view`, `speaking` and `subject`."""


def of_medium(medium: Medium) -> Any:
    """The module with the sections of a medium, imported when a run needs it: language needs no environments."""
    return import_module(f"plaudit.report.{MODULES[medium]}")


def people(run: RunData, say: Texts) -> str:
    """Who answered: people, or simulated ones, who are never called people alone."""
    if run.simulated is None:
        return say("people_some")
    if not run.simulated:
        return say("people_real")
    return say("people_one") if run.simulated == 1 else say("people_many", count=run.simulated)


def algorithm(config: Row) -> str:
    """PPO, or the name of somebody's own file."""
    name = str(config.get("algorithm", "ppo"))
    return Path(name).stem if name.endswith(".py") else name.upper()


def status(run: RunData, say: Texts) -> str:
    """Whether the run is over, and what of it could not be read."""
    state, told = run.manifest.get("status"), ""
    if state in ("running", "stopped"):
        told = page.paragraph(say(f"status_{state}", path=str(run.folder.path)), "notice")
    if state == "failed":
        told = page.paragraph(say("status_failed", error=str(run.manifest.get("error", ""))), "notice")
    return told + "".join(
        page.paragraph(say("trouble", reason=trouble), "notice") for trouble in run.troubles
    )


def answer_tiles(run: RunData, forecasts: Forecasts, say: Texts) -> list[str]:
    """How many answers there were, and how many of the new ones were foreseen."""
    tiles = []
    if run.asks_people:
        planned = (run.config.get("feedback") or {}).get("labels", run.labels)
        note = say("tile_labels_note" if run.labels >= planned else "tile_labels_part", planned=planned)
        tiles.append(page.tile(f"{run.labels:,}", say("tile_labels"), note))
    if len(forecasts.outcomes):
        hits, n = int(forecasts.right.sum()), len(forecasts.outcomes)
        note = say("tile_forecast_note", low_high=interval(*wilson(hits, n)), count=n)
        tiles.append(page.tile(percent(hits / n), say("tile_forecast"), note))
    return tiles


def time(run: RunData, say: Texts) -> str:
    """How long the run took: 4 min, or 40 s."""
    seconds = max((row.get("time/seconds", 0.0) for row in run.rows), default=0.0)
    if seconds >= 120:
        return say("minutes", count=round(seconds / 60))
    return say("seconds", count=round(seconds))


def answers(run: RunData, truth: str, say: Texts) -> str:
    """Counts of answers by person, sides, and what the flaws of simulated people came to.

    `truth` is what those judge by: true_return or gold_reward.
    """
    try:
        counts = data.answers(run.folder)
    except PlauditError as error:
        return page.section(say("people_answers"), say("trouble", reason=str(error)), "")
    if not counts:
        return ""
    everyone = data.together(counts)
    kinds = [kind for kind in KINDS if kind in ("first", "second") or everyone.counts.get(kind)]
    rows = [_row(name, one, kinds) for name, one in counts.items()] if len(counts) > 1 else []
    rows.append(_row(say("everyone"), everyone, kinds))
    head = [say("person"), say("total"), *(say(kind) for kind in kinds), say("left")]
    held_out = say("people_answers_held_out", count=everyone.held_out) if everyone.held_out else ""
    result = say.join([held_out, _rates(run, truth, say)])
    return page.section(say("people_answers"), say("people_answers_say"), page.table(head, rows), result)


def _row(name: str, one: AnswerCounts, kinds: list[str]) -> list[str]:
    left = "–"
    if one.sided:
        left = f"{percent(one.left / one.sided)} ({interval(*wilson(one.left, one.sided))})"
    return [name, f"{one.total:,}", *(f"{one.counts.get(kind, 0):,}" for kind in kinds), left]


def _rates(run: RunData, truth: str, say: Texts) -> str:
    """The rates simulated people achieved; nothing where there were none."""
    for row in reversed(run.rows):
        rates = {name: row.get(f"people/{name}") for name in RATES}
        if all(is_number(rate) for rate in rates.values()):
            return say(f"rates_{truth}", **{name: percent(float(rate or 0)) for name, rate in rates.items()})
    return ""


def details(run: RunData, say: Texts) -> str:
    """A closed drawer with everything needed to make this run again."""
    manifest = run.manifest
    facts = [
        (say("status"), manifest.get("status")),
        (say("seed"), run.seed),
        (say("threads"), manifest.get("threads")),
        ("resume", manifest.get("resume")),
        ("platform", manifest.get("platform")),
        ("config_sha256", manifest.get("config_sha256")),
    ]
    body = _titled(
        say("run"), page.table((), [(name, str(value)) for name, value in facts if value is not None])
    )
    versions = manifest.get("versions") or {}
    body += _titled(say("versions"), page.table((), [(name, str(value)) for name, value in versions.items()]))
    last = [(name, _shown(value)) for name, value in (run.rows[-1] if run.rows else {}).items()]
    body += _titled(say("metrics"), page.table((), [line for line in last if line[1]]))
    if run.written:
        config = yaml.safe_dump(run.written, sort_keys=False, allow_unicode=True)
        body += _titled(say("config"), f"<pre>{page.text(config)}</pre>\n")
    return f"<details><summary>{page.text(say('details'))}</summary>\n{body}</details>\n"


def _titled(title: str, body: str) -> str:
    return f"<h3>{page.text(title)}</h3>\n{body}"


def _shown(value: object) -> str:
    """Numbers in a table; nothing for lists."""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 100 else number(value)
    return value if isinstance(value, str) else ""
