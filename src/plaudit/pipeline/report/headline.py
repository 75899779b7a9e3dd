"""The top of the page: what was done, what came out, and whether the policy got better."""

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from plaudit.pipeline.report import page
from plaudit.pipeline.report.behaviour import Returns
from plaudit.pipeline.report.evidence import Evidence
from plaudit.pipeline.report.forecasts import Forecasts
from plaudit.pipeline.report.words import Words, interval, number, percent
from plaudit.pipeline.statistics import t_quantile, wilson


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
    body = page.paragraph(_lead(evidence, say), "lead") + _status(evidence, say)
    body += "".join(page.paragraph(say("trouble", reason=trouble), "notice") for trouble in evidence.troubles)
    body += '<div class="tiles">\n' + _tiles(evidence, forecasts, returns, say) + "</div>\n"
    return body + _verdict(evidence, returns, say)


def algorithm(config: dict[str, Any]) -> str:
    """PPO, or the name of somebody's own file."""
    name = str(config.get("algorithm", "ppo"))
    return Path(name).stem if name.endswith(".py") else name.upper()


def _lead(evidence: Evidence, say: Words) -> str:
    config, name = evidence.config, algorithm(evidence.config)
    weights = (config.get("reward") or {}).get("weights") or {}
    if not config:
        return ""
    if not evidence.asks_people:
        return say("from_model" if weights.get("learned") else "plain", algorithm=name)
    said = [say("from_people", labels=evidence.labels, algorithm=name)]
    people = (config.get("feedback") or {}).get("people") or []
    if people:
        said.append(say("simulated_one") if len(people) == 1 else say("simulated", people=len(people)))
    if weights.get("environment"):
        shown = ", ".join(f"{key} {value:g}" for key, value in weights.items())
        said.append(say("mixed_reward", weights=shown))
    else:
        said.append(say("no_reward_seen"))
    return (" " if say.language == "en" else "").join(said)


def _status(evidence: Evidence, say: Words) -> str:
    status = evidence.manifest.get("status")
    if status in ("running", "stopped"):
        return page.paragraph(say(f"status_{status}", path=str(evidence.folder.path)), "notice")
    if status == "failed":
        return page.paragraph(say("status_failed", error=evidence.manifest.get("error", "")), "notice")
    return ""


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
    if evidence.asks_people:
        planned = (evidence.config.get("feedback") or {}).get("labels", evidence.labels)
        note = say("tile_labels_note" if evidence.labels >= planned else "tile_labels_part", planned=planned)
        tiles.append(page.tile(f"{evidence.labels:,}", say("tile_labels"), note))
    if len(forecasts.outcomes):
        hits, n = int(forecasts.right.sum()), len(forecasts.outcomes)
        note = say("tile_forecast_note", low_high=interval(*wilson(hits, n)), count=n)
        tiles.append(page.tile(percent(hits / n), say("tile_forecast"), note))
    seconds = max((row.get("time/seconds", 0.0) for row in evidence.rows), default=0.0)
    time = (
        say("minutes", count=round(seconds / 60)) if seconds >= 120 else say("seconds", count=round(seconds))
    )
    planned = evidence.config.get("steps", evidence.steps)
    part = "tile_steps_note" if evidence.steps >= planned else "tile_steps_part"
    note = say(part, planned=planned, time=time)
    tiles.append(page.tile(f"{evidence.steps:,}", say("tile_steps"), note))
    return "".join(tiles)


def _verdict(evidence: Evidence, returns: tuple[Returns, Returns] | None, say: Words) -> str:
    found = None if returns is None or not evidence.rows else change(*returns)
    if found is None:
        return page.paragraph(say("verdict_unknown"), "verdict")
    low, high = sorted((abs(found.low), abs(found.high)))
    if found.verdict == "unclear":
        low, high = found.low, found.high
    gain = found.gain if found.verdict == "unclear" else abs(found.gain)
    kind = {"better": "verdict good", "worse": "verdict bad", "unclear": "verdict"}[found.verdict]
    said = page.paragraph(say(f"verdict_{found.verdict}", gain=gain, low=low, high=high), kind)
    if found.verdict == "worse" and evidence.asks_people:
        said += page.paragraph(say("misled"))
    return said + page.paragraph(say("one_seed"), "small")
