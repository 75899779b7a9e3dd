"""The report of one run: every part is left out, with its reason, where its data are missing."""

from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.pipeline.report import behaviour, evidence, forecasts, page, sections, tables
from plaudit.pipeline.report.behaviour import Models, Returns
from plaudit.pipeline.report.evidence import Evidence
from plaudit.pipeline.report.headline import headline
from plaudit.pipeline.report.words import Language, Words
from plaudit.pipeline.run_folder import RunFolder, write_whole


def write_report(folder: RunFolder, language: Language = "en") -> Path:
    """Write report.html of a run, finished or not: one file that fetches nothing. Returns its path."""
    say, run = Words(language), evidence.read(folder)
    models, returns, troubles = _played(run)
    found = forecasts.read(run.rows)
    body = headline(run, found, returns, say)
    body += "".join(page.paragraph(say("trouble", reason=trouble), "notice") for trouble in troubles)
    cards = [sections.film(run, models, say), sections.learning_curve(run, say)]
    if run.asks_people:
        cards.append(sections.by_labels(run, say))
        cards += [sections.accuracy(run, found, say), sections.calibration(run, found, say)]
    cards.append(sections.agreement(run, models, say))
    if run.asks_people:
        cards.append(tables.said(run, say))
    body += '<div class="grid">\n' + "".join(cards) + "</div>\n" + tables.details(run, say)
    write_whole(folder.report, page.page(say("title", environment=_name(run)), body, language))
    return folder.report


def _played(run: Evidence) -> tuple[Models | None, tuple[Returns, Returns] | None, list[str]]:
    """The models and the true returns before and after, or why there are none."""
    try:
        models = behaviour.models(run)
    except PlauditError as error:
        return None, None, [str(error)]
    try:
        return models, behaviour.returns(run, models), []
    except PlauditError as error:
        return models, None, [str(error)]


def _name(run: Evidence) -> str:
    try:
        return run.environment.id
    except PlauditError:
        return run.folder.path.name
