"""The top of the page: what was done, what came out, and whether the policy got better."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

from plaudit.report import opening, page
from plaudit.report.control.behaviour import Returns
from plaudit.report.evidence import Evidence
from plaudit.report.forecasts import Forecasts
from plaudit.report.words import Words, number
from plaudit.runs.statistics import t_quantile


@dataclass(frozen=True)
class Change:
    """After minus before, with Welch's 95 % interval."""

    gain: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """better, worse or unclear."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "unclear"


def change(before: Returns, after: Returns) -> Change | None:
    """The difference of two means (Welch 1947); none where an interval needs more episodes."""
    if min(before.episodes, after.episodes) < 2:
        return None
    parts = [one.std**2 / (one.episodes - 1) for one in (before, after)]  # squared standard errors
    gain, error = after.mean - before.mean, sqrt(sum(parts))
    if error == 0:
        return Change(gain, gain, gain)
    spread = sum(part**2 / (one.episodes - 1) for part, one in zip(parts, (before, after), strict=True))
    half = error * t_quantile(0.95, max(1, int(error**4 / spread)))
    return Change(gain, gain - half, gain + half)


def headline(
    evidence: Evidence, forecasts: Forecasts, returns: tuple[Returns, Returns] | None, say: Words
) -> str:
    """The lead, the state of the run, the numbers and the verdict."""
    body = page.paragraph(_lead(evidence, say), "lead") + opening.status(evidence, say)
    body += '<div class="tiles">\n' + _tiles(evidence, forecasts, returns, say) + "</div>\n"
    return body + _verdict(evidence, returns, say)


def _lead(evidence: Evidence, say: Words) -> str:
    config, name = evidence.config, opening.algorithm(evidence.config)
    weights = (config.get("reward") or {}).get("weights") or {}
    if not config:
        return ""
    if not evidence.asks_people:
        return say("from_model" if weights.get("learned") else "plain", algorithm=name)
    said = [say("from_people", labels=evidence.labels, algorithm=name)]
    if people := _simulated(evidence):
        said.append(say("simulated_one") if len(people) == 1 else say("simulated", people=len(people)))
    if weights.get("environment"):
        shown = ", ".join(f"{key} {value:g}" for key, value in weights.items())
        said.append(say("mixed_reward", weights=shown))
    else:
        said.append(say("no_reward_seen"))
    return say.join(said)


def _simulated(evidence: Evidence) -> list[Any]:
    """The simulated people of the run; none where real ones answer."""
    return (evidence.config.get("feedback") or {}).get("people") or []


def _tiles(
    evidence: Evidence, forecasts: Forecasts, returns: tuple[Returns, Returns] | None, say: Words
) -> str:
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
    tiles += opening.tiles(evidence, forecasts, say)
    planned = evidence.config.get("steps", evidence.steps)
    part = "tile_steps_note" if evidence.steps >= planned else "tile_steps_part"
    note = say(part, planned=planned, time=opening.time(evidence, say))
    tiles.append(page.tile(f"{evidence.steps:,}", say("tile_steps"), note))
    return "".join(tiles)


def verdict(evidence: Evidence, returns: tuple[Returns, Returns] | None) -> str:
    """better, worse, unclear, or unknown where the run did not get far enough."""
    found = _found(evidence, returns)
    return "unknown" if found is None else found.verdict


def _found(evidence: Evidence, returns: tuple[Returns, Returns] | None) -> Change | None:
    return None if returns is None or not evidence.rows else change(*returns)


def _verdict(evidence: Evidence, returns: tuple[Returns, Returns] | None, say: Words) -> str:
    found = _found(evidence, returns)
    if found is None:
        return page.paragraph(say("verdict_unknown"), "verdict")
    low, high = sorted((abs(found.low), abs(found.high)))
    if found.verdict == "unclear":
        low, high = found.low, found.high
    gain = found.gain if found.verdict == "unclear" else abs(found.gain)
    kind = {"better": "verdict good", "worse": "verdict bad", "unclear": "verdict"}[found.verdict]
    said = page.paragraph(say(f"verdict_{found.verdict}", gain=gain, low=low, high=high), kind)
    if evidence.asks_people and not _simulated(evidence):
        said += page.paragraph(say("own_wish", labels=evidence.labels))
    elif found.verdict == "worse" and evidence.asks_people:
        said += page.paragraph(say("misled"))
    return said + page.paragraph(say("one_seed"), "small")
