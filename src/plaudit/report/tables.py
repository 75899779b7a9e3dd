"""The sections with tables: what people said, and how to make the run again."""

from typing import Any

import yaml

from plaudit.errors import PlauditError
from plaudit.maths.intervals import wilson
from plaudit.report import answers, page
from plaudit.report.answers import Said
from plaudit.report.evidence import Evidence, is_number
from plaudit.report.words import Words, interval, number, percent

KINDS = ("first", "second", "equal", "both_bad", "skip")
RATES = ("mistakes", "equal", "skip", "agreement")


def said(run: Evidence, say: Words) -> str:
    """Counts of answers by person, sides, and what the flaws of simulated people came to."""
    try:
        people = answers.read(run.folder)
    except PlauditError as error:
        return page.section(say("said"), say("trouble", reason=str(error)), "")
    if not people:
        return ""
    everyone = answers.together(people)
    kinds = [kind for kind in KINDS if kind in ("first", "second") or everyone.counts.get(kind)]
    rows = [_row(name, one, kinds) for name, one in people.items()] if len(people) > 1 else []
    rows.append(_row(say("everyone"), everyone, kinds))
    head = [say("person"), say("total"), *(say(kind) for kind in kinds), say("left")]
    held_out = say("said_held_out", count=everyone.held_out) if everyone.held_out else ""
    result = say.join([held_out, _rates(run, say)])
    return page.section(say("said"), say("said_say"), page.table(head, rows), result)


def _row(name: str, one: Said, kinds: list[str]) -> list[str]:
    left = "–"
    if one.sided:
        left = f"{percent(one.left / one.sided)} ({interval(*wilson(one.left, one.sided))})"
    return [name, f"{one.total:,}", *(f"{one.counts.get(kind, 0):,}" for kind in kinds), left]


def _rates(run: Evidence, say: Words) -> str:
    """The rates simulated people achieved; nothing where there were none."""
    for row in reversed(run.rows):
        rates = {name: row.get(f"people/{name}") for name in RATES}
        if all(is_number(rate) for rate in rates.values()):
            name = "rates" if run.kind == "control" else "rates_hidden"
            return say(name, **{name: percent(float(rate or 0)) for name, rate in rates.items()})
    return ""


def details(run: Evidence, say: Words) -> str:
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
    if run.config:
        config = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)
        body += _titled(say("config"), f"<pre>{page.text(config)}</pre>\n")
    return f"<details><summary>{page.text(say('details'))}</summary>\n{body}</details>\n"


def _titled(title: str, body: str) -> str:
    return f"<h3>{page.text(title)}</h3>\n{body}"


def _shown(value: Any) -> str:
    """Numbers in a table; nothing for lists."""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 100 else number(value)
    return value if isinstance(value, str) else ""
