"""The report of several runs that differ in their seed: means with intervals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from plaudit.errors import PlauditError
from plaudit.pipeline.report import evidence, page
from plaudit.pipeline.report.evidence import Evidence
from plaudit.pipeline.report.figures import BLUE, Curve, Labels, curves
from plaudit.pipeline.report.words import Language, Words, number
from plaudit.pipeline.run_folder import RunFolder, write_whole
from plaudit.pipeline.statistics import mean_interval

POINTS = 100


def write_seeds_report(folders: Sequence[RunFolder], path: Path, language: Language = "en") -> Path:
    """Write a page about runs of one config with different seeds to `path`, and return it."""
    if not folders:
        raise PlauditError(
            f"{path}: a report over seeds needs at least one run; give the folders of the runs"
        )
    say, runs = Words(language), [evidence.read(folder) for folder in folders]
    body = page.paragraph(_result(runs, say), "verdict")
    for run in runs:
        body += "".join(page.paragraph(say("trouble", reason=trouble), "notice") for trouble in run.troubles)
    body += '<div class="grid">\n' + _curve(runs, say) + _table(runs, say) + "</div>\n"
    try:
        name = runs[0].environment.id
    except PlauditError:
        name = runs[0].folder.path.name
    write_whole(path, page.page(say("seeds_title", environment=name, seeds=len(runs)), body, language))
    return path


def mean_curve(found: Sequence[evidence.Series]) -> tuple[np.ndarray, np.ndarray]:
    """Steps [N] where every series has data, and there mean, low and high [3, N] of the interpolated series."""
    start, end = max(x[0] for x, _ in found), min(x[-1] for x, _ in found)
    steps = np.linspace(start, max(start, end), POINTS)
    values = np.array([np.interp(steps, x, y) for x, y in found])
    return steps, np.array([mean_interval(column) for column in values.T]).T


def _result(runs: list[Evidence], say: Words) -> str:
    finals = [final for run in runs if (final := _final(run)) is not None]
    if not finals:
        return say("seeds_none")
    mean, low, high = mean_interval(finals)
    if len(finals) == 1:
        return say("seeds_result_one", mean=mean)
    return say("seeds_result", mean=mean, low=low, high=high, worst=min(finals))


def _final(run: Evidence) -> float | None:
    mean = (run.manifest.get("result") or {}).get("return_mean")
    return float(mean) if mean is not None and evidence.is_number(mean) else None


def _curve(runs: list[Evidence], say: Words) -> str:
    found = [evidence.series(run.rows, "rollout/ep_rew_mean") for run in runs]
    found = [(x, evidence.smoothed(y, max(1, len(y) // 12))) for x, y in found if len(x) > 1]
    if not found:
        return page.section(say("curve"), say("curve_none"), "", kind="broad")
    lines = [Curve(x, y, BLUE, faint=True) for x, y in found]
    steps, (mean, low, high) = mean_curve(found)
    if len(found) > 1:
        lines.append(Curve(steps, mean, BLUE, say("mean_of_seeds"), low=low, high=high))
    drawn = curves(lines, Labels(say("steps"), say("true_return"), say("curve")))
    return page.section(say("curve"), say("seeds_say", seeds=len(found)), page.picture(drawn), kind="broad")


def _table(runs: list[Evidence], say: Words) -> str:
    head = [say("folder"), say("seed"), say("status"), say("steps"), say("answers"), say("final")]
    rows = []
    for run in runs:
        final, status = _final(run), str(run.manifest.get("status", "–"))
        shown = "–" if final is None else number(final)
        rows.append([run.folder.path.name, str(run.seed), status, f"{run.steps:,}", f"{run.labels:,}", shown])
    return page.section(say("seeds_table"), "", page.table(head, rows), kind="broad")
