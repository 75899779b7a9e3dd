"""The report of one control run: every part is left out, with its reason, where its data are missing."""

from plaudit.errors import PlauditError
from plaudit.report import forecasts, foresight, opening, page, tables
from plaudit.report.control import behaviour, headline, sections
from plaudit.report.control.behaviour import Models, Returns
from plaudit.report.evidence import Evidence
from plaudit.report.page import Part, Summary
from plaudit.report.words import Words, number


def body(run: Evidence, say: Words) -> Part:
    """What there is to say about a run, finished or not."""
    models, returns, troubles = _played(run)
    found = forecasts.read(run.rows)
    top = headline.headline(run, found, returns, say)
    top += "".join(page.paragraph(say("trouble", reason=trouble), "notice") for trouble in troubles)
    cards = [sections.film(run, models, say), sections.learning_curve(run, say)]
    if run.asks_people:
        cards.append(sections.by_labels(run, say))
        cards += [foresight.accuracy(run, found, say), foresight.calibration(run, found, say)]
    cards.append(sections.agreement(run, models, say))
    if run.asks_people:
        cards.append(tables.said(run, say))
    name = run.environment or run.folder.path.name
    whole = top + '<div class="grid">\n' + "".join(cards) + "</div>\n" + tables.details(run, say)
    return Part(run.kind, say("title", environment=name), whole, _summary(run, name, returns, say))


def _summary(run: Evidence, name: str, returns: tuple[Returns, Returns] | None, say: Words) -> Summary:
    values = "–" if returns is None else f"{number(returns[0].mean)} → {number(returns[1].mean)}"
    what = say("joint_what", algorithm=opening.algorithm(run.config), name=name)
    verdict = headline.verdict(run, returns)
    return Summary(what, run.labels, say("true_return"), values, say(f"joint_{verdict}"))


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
