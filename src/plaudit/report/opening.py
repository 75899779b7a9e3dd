"""What the top of every page says: the state of the run, answers and forecasts, and how long it took."""

from pathlib import Path
from typing import Any

from plaudit.maths.intervals import wilson
from plaudit.report import page
from plaudit.report.evidence import Evidence
from plaudit.report.forecasts import Forecasts
from plaudit.report.words import Words, interval, percent


def algorithm(config: dict[str, Any]) -> str:
    """PPO, or the name of somebody's own file."""
    name = str(config.get("algorithm", "ppo"))
    return Path(name).stem if name.endswith(".py") else name.upper()


def status(run: Evidence, say: Words) -> str:
    """Whether the run is over, and what of it could not be read."""
    status, said = run.manifest.get("status"), ""
    if status in ("running", "stopped"):
        said = page.paragraph(say(f"status_{status}", path=str(run.folder.path)), "notice")
    if status == "failed":
        said = page.paragraph(say("status_failed", error=str(run.manifest.get("error", ""))), "notice")
    return said + "".join(
        page.paragraph(say("trouble", reason=trouble), "notice") for trouble in run.troubles
    )


def tiles(run: Evidence, found: Forecasts, say: Words) -> list[str]:
    """How many answers there were, and how many of the new ones were foreseen."""
    made = []
    if run.asks_people:
        planned = (run.config.get("feedback") or {}).get("labels", run.labels)
        note = say("tile_labels_note" if run.labels >= planned else "tile_labels_part", planned=planned)
        made.append(page.tile(f"{run.labels:,}", say("tile_labels"), note))
    if len(found.outcomes):
        hits, n = int(found.right.sum()), len(found.outcomes)
        note = say("tile_forecast_note", low_high=interval(*wilson(hits, n)), count=n)
        made.append(page.tile(percent(hits / n), say("tile_forecast"), note))
    return made


def time(run: Evidence, say: Words) -> str:
    """How long the run took: 4 min, or 40 s."""
    seconds = max((row.get("time/seconds", 0.0) for row in run.rows), default=0.0)
    if seconds >= 120:
        return say("minutes", count=round(seconds / 60))
    return say("seconds", count=round(seconds))
