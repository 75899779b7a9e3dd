"""The report of one language run: every part is left out, with its reason, where its data are missing."""

from plaudit.report import forecasts, foresight, tables
from plaudit.report.evidence import Evidence
from plaudit.report.language import agreement, curves, drift, headline, samples
from plaudit.report.page import Part
from plaudit.report.words import Words


def body(run: Evidence, say: Words) -> Part:
    """What there is to say about a run, finished or not."""
    say, found = headline.speaking(run, say), forecasts.read(run.rows)
    cards = [samples.samples(run, say), curves.scores(run, say), curves.over(run, say)]
    cards += [curves.distance(run, say), drift.drift(run, say), agreement.agreement(run, say)]
    if run.asks_people or len(found.outcomes):
        cards += [foresight.accuracy(run, found, say), foresight.calibration(run, found, say)]
        cards.append(tables.said(run, say))
    whole = headline.headline(run, found, say)
    whole += '<div class="grid">\n' + "".join(cards) + "</div>\n" + tables.details(run, say)
    title = say("language_title", prompts=headline.prompts(run, say))
    return Part(run.kind, title, whole, headline.summary(run, say))
