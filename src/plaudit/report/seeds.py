"""The report of several runs that differ in their seed: means with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plaudit.errors import PlauditError
from plaudit.report import data, page, sections
from plaudit.report.charts import BLUE, Curve, Labels, curves
from plaudit.report.data import Medium, RunData, Series, is_number
from plaudit.report.texts import Language, Texts, number, percent
from plaudit.runs.folder import RunFolder
from plaudit.runs.statistics import mean_interval
from plaudit.storage.artifacts import write_whole

POINTS = 100


@dataclass(frozen=True)
class Measure:
    """What finished runs are compared by."""

    name: str
    """A text of the report."""
    field: str
    """Where a run's result has it."""
    share: bool = False
    """Written in percents."""
    at_top: bool = True
    """At the top, not in the table alone."""

    def of(self, run: RunData) -> float | None:
        """Its value at the end of a run; none before."""
        value = run.result.get(self.field)
        return float(value) if is_number(value) else None

    def shown(self, value: float | None) -> str:
        """As the page writes it."""
        if value is None:
            return "–"
        return percent(min(1.0, max(0.0, value))) if self.share else number(value)


@dataclass(frozen=True)
class View:
    """How runs of one medium are shown."""

    measures: tuple[Measure, ...]
    curve: Callable[[RunData], Series]
    """What is drawn over the progress of a run."""
    drawn: str
    """The name of that."""
    title: str
    """The title of the figure."""
    nothing: str
    """What is said without data for it."""
    unit: str
    """What progress is counted in."""
    progress: Callable[[RunData], int]
    """How far a run is."""
    about: str = ""
    """What is said above the table."""


def write_seeds_report(folders: Sequence[RunFolder], path: Path, language: Language = "en") -> Path:
    """Write a page about runs of one config with different seeds to `path`, and return it."""
    if not folders:
        raise PlauditError(
            f"{path}: a report over seeds needs at least one run; give the folders of the runs"
        )
    say, runs = Texts(language), [data.read(folder) for folder in folders]
    known = [run for run in runs if run.config or run.rows]
    media: set[Medium] = {run.medium for run in known or runs}
    if len(media) > 1:
        raise PlauditError(
            f"{path}: the runs given are of both kinds, control and language, which have no mean in common; "
            "give runs of one config"
        )
    medium = sections.of_medium(media.pop())
    view, say = medium.view(known), medium.speaking(runs[0], say)
    body = "".join(
        page.paragraph(_result(runs, measure, say), "verdict") for measure in view.measures if measure.at_top
    )
    if not any(run.result for run in runs):
        body = page.paragraph(say("seeds_none"), "verdict")
    for run in runs:
        body += "".join(page.paragraph(say("trouble", reason=trouble), "notice") for trouble in run.troubles)
    body += '<div class="grid">\n' + _curve(runs, view, say) + _table(runs, view, say) + "</div>\n"
    name = medium.subject(runs[0], say) or runs[0].folder.path.name
    title = say("seeds_title", environment=name, seeds=len(runs))
    write_whole(path, page.page(title, body, language))
    return path


def mean_curve(series: Sequence[Series]) -> tuple[np.ndarray, np.ndarray]:
    """Steps [N] where every series has data, and there mean, low and high [3, N] of the interpolated series."""
    start, end = max(x[0] for x, _ in series), min(x[-1] for x, _ in series)
    steps = np.linspace(start, max(start, end), POINTS)
    values = np.array([np.interp(steps, x, y) for x, y in series])
    return steps, np.array([mean_interval(column) for column in values.T]).T


def _result(runs: Sequence[RunData], measure: Measure, say: Texts) -> str:
    finals = [final for run in runs if (final := measure.of(run)) is not None]
    if not finals:
        return ""
    mean, low, high = mean_interval(finals)
    values = {"measure": say(measure.name), "mean": measure.shown(mean)}
    if len(finals) == 1:
        return say("seeds_result_one", **values)
    ends = {
        name: measure.shown(value) for name, value in (("low", low), ("high", high), ("worst", min(finals)))
    }
    return say("seeds_result", **values, **ends)


def _curve(runs: Sequence[RunData], view: View, say: Texts) -> str:
    series = [(x, y) for x, y in map(view.curve, runs) if len(x) > 1]
    if not series:
        return page.section(say(view.title), say(view.nothing), "", kind="broad")
    lines = [Curve(x, y, BLUE, faint=True) for x, y in series]
    steps, (mean, low, high) = mean_curve(series)
    if len(series) > 1:
        lines.append(Curve(steps, mean, BLUE, say("mean_of_seeds"), low=low, high=high))
    drawn = curves(lines, Labels(say(view.unit), say(view.drawn), say(view.title)))
    return page.section(
        say(view.title), say("seeds_say", seeds=len(series)), page.picture(drawn), kind="broad"
    )


def _table(runs: Sequence[RunData], view: View, say: Texts) -> str:
    columns = ["folder", "seed", "status", view.unit, "answers"]
    head = [*map(say, columns), *(say("final", measure=say(measure.name)) for measure in view.measures)]
    rows = []
    for run in runs:
        finals = [measure.shown(measure.of(run)) for measure in view.measures]
        status = str(run.manifest.get("status", "–"))
        done = f"{view.progress(run):,}"
        rows.append([run.folder.path.name, str(run.seed), status, done, f"{run.labels:,}", *finals])
    about = say(view.about) if view.about else ""
    return page.section(say("seeds_table"), about, page.table(head, rows), kind="broad")
