"""The page of one run, and the page about several: what they have in common, a summary, and each under its own
heading."""

import re
from collections.abc import Sequence
from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.report import data, page, sections
from plaudit.report.page import Part
from plaudit.report.texts import Language, Texts
from plaudit.runs.folder import RunFolder
from plaudit.storage.artifacts import write_whole


def write_report(folder: RunFolder, language: Language = "en") -> Path:
    """Write report.html of a run, finished or not, in another language report.zh.html beside it: one file that fetches
    nothing. Returns its path."""
    whole = part(folder, Texts(language))
    path = folder.report if language == "en" else folder.report.with_suffix(f".{language}.html")
    write_whole(path, page.page(whole.title, whole.body, language))
    return path


def part(folder: RunFolder, say: Texts) -> Part:
    """What there is to say about a run, finished or not."""
    run = data.read(folder)
    say = say.knowing(people=sections.people(run, say))
    return sections.of_medium(run.medium).part(run, say)


def write_joint_report(folders: Sequence[RunFolder], path: Path, language: Language = "en") -> Path:
    """Write a page about several runs, finished or not, to `path`, and return it: one file that fetches nothing."""
    if not folders:
        raise PlauditError(f"{path}: a joint report needs at least one run; give the folders of the runs")
    say = Texts(language)
    parts = [part(folder, say) for folder in folders]
    lead = ["joint_rlhf", "joint_halves"] if len({part.medium for part in parts}) > 1 else ["joint_rlhf"]
    body = "".join(page.paragraph(say(name), "lead") for name in lead)
    body += _contents(parts, say) + _summary(parts, say)
    body += "".join(_half(part, number, say) for number, part in enumerate(parts, 1))
    write_whole(path, page.page(say("joint_title"), body, language))
    return path


def _contents(parts: Sequence[Part], say: Texts) -> str:
    entries = "".join(
        f'<li><a href="#{_name(number)}">{_title(part, say)}</a></li>' for number, part in enumerate(parts, 1)
    )
    summary = f'<li><a href="#summary">{page.text(say("joint_summary"))}</a></li>'
    return f'<nav aria-label="{page.text(say("joint_contents"))}"><ol>{summary}{entries}</ol></nav>\n'


def _summary(parts: Sequence[Part], say: Texts) -> str:
    head = [say(name) for name in ("joint_run", "answers", "joint_measure", "joint_change", "joint_verdict")]
    rows = [
        [s.what, f"{s.answers:,}", s.measure, s.change, s.verdict] for s in (part.summary for part in parts)
    ]
    card = page.section(say("joint_summary"), say("joint_summary_say"), page.table(head, rows))
    return card.replace("<section>", '<section id="summary" class="summary">', 1)


def _half(part: Part, number: int, say: Texts) -> str:
    """A run under its own heading: its headings one level lower, its ids its own."""
    body = re.sub(r"(</?)h([2-5])>", lambda match: f"{match[1]}h{int(match[2]) + 1}>", part.body)
    mine = set(re.findall(r' id="([\w.-]+)"', body))
    for name in mine:
        body = re.sub(rf'( id="|href="#|url\(#){re.escape(name)}(?=["\)])', rf"\g<1>{name}-{number}", body)
    return f'<article id="{_name(number)}"><h2>{_title(part, say)}</h2>\n{body}</article>\n'


def _title(part: Part, say: Texts) -> str:
    return page.text(say("joint_half", half=say(f"joint_{part.medium}"), title=part.title))


def _name(number: int) -> str:
    return f"run-{number}"
