"""Length, cut-off answers and repetition while a model learned, and whether they drifted: the usual signs that a reward
is being gamed."""

from dataclasses import dataclass

from plaudit.report import evidence, page
from plaudit.report.evidence import Evidence
from plaudit.report.figures import BLUE, GREEN, ORANGE, Curve, Panel, panels
from plaudit.report.language import trace
from plaudit.report.words import Words, number, percent

LONGER, SHORTER, SHARE = 1.3, 0.7, 0.1
"""What is said aloud: answers 30 % longer or shorter, or 10 points more of them cut off or repeated."""
MEASURES = (
    ("tokens", "rollout/answer_tokens", BLUE),
    ("capped", "rollout/capped", ORANGE),
    ("repetition", "rollout/repetition", GREEN),
)


@dataclass(frozen=True)
class Drift:
    """A measure at the start and now."""

    before: float
    now: float


def drift(run: Evidence, say: Words) -> str:
    """The card; nothing where nothing was measured."""
    parts = []
    for name, practised, colour in MEASURES:
        lines = []
        updates, values = evidence.series(run.rows, practised, "update")
        if len(updates):
            style = "-" if len(updates) > 1 else "o"
            lines.append(Curve(updates, values, colour, style=style, faint=True))
        updates, values = trace.evaluated(run, name)
        if len(updates):
            lines.append(Curve(updates, values, colour, style="-o", size=4))
        if lines:
            parts.append(Panel(say(name), lines, percents=name != "tokens"))
    if not parts:
        return ""
    cap = (run.config.get("language") or {}).get("answer_tokens", "–")
    drawn = panels(parts, say("updates"), say("drift"))
    warnings = warned(run, say)
    body = "".join(page.paragraph(warning, "notice") for warning in warnings) + page.picture(drawn)
    calm = "" if warnings or found(run, "tokens") is None else say("drift_none")
    return page.section(say("drift"), say("drift_say", cap=cap), body, calm)


def warned(run: Evidence, say: Words) -> list[str]:
    """A sentence for each measure that drifted a lot."""
    said = []
    length = found(run, "tokens")
    if length is not None and not SHORTER * length.before <= length.now <= LONGER * length.before:
        name = "drift_longer" if length.now > length.before else "drift_shorter"
        said.append(say(name, before=number(length.before), now=number(length.now)))
    for name in ("capped", "repetition"):
        share = found(run, name)
        if share is not None and share.now - share.before > SHARE:
            said.append(say(f"drift_{name}", before=percent(share.before), now=percent(share.now)))
    return said


def found(run: Evidence, name: str) -> Drift | None:
    """A measure of the answers to the held-out prompts, of the model as it started and of the newest (or kept) one."""
    updates, values = trace.evaluated(run, name)
    result = trace.result(run)
    before = trace.value(result.get("before") or {}, name)
    now = trace.value(result, name)
    if before is None and len(values) and updates[0] == 0:
        before = float(values[0])
    if now is None and len(values) > 1:
        now = float(values[-1])
    return None if before is None or now is None else Drift(before, now)
