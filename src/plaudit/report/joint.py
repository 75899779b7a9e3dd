"""One page about several runs of both kinds: what they have in common, a summary, and each under its own heading."""

import re
from collections.abc import Sequence
from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.report import page, run_report
from plaudit.report.page import Part
from plaudit.report.words import Language, Words
from plaudit.runs.files import write_whole
from plaudit.runs.folder import RunFolder


def write_joint_report(folders: Sequence[RunFolder], path: Path, language: Language = "en") -> Path:
    """Write a page about several runs, finished or not, to `path`, and return it: one file that fetches nothing."""
    if not folders:
        raise PlauditError(f"{path}: a joint report needs at least one run; give the folders of the runs")
    say = Words(language)
    parts = [run_report.part(folder, say) for folder in folders]
    lead = ["joint_rlhf", "joint_halves"] if len({part.kind for part in parts}) > 1 else ["joint_rlhf"]
    body = "".join(page.paragraph(say(name), "lead") for name in lead)
    body += _contents(parts, say) + _summary(parts, say)
    body += "".join(_half(part, number, say) for number, part in enumerate(parts, 1))
    write_whole(path, page.page(say("joint_title"), body, language))
    return path


def _contents(parts: Sequence[Part], say: Words) -> str:
    entries = "".join(
        f'<li><a href="#{_name(number)}">{_title(part, say)}</a></li>' for number, part in enumerate(parts, 1)
    )
    summary = f'<li><a href="#summary">{page.text(say("joint_summary"))}</a></li>'
    return f'<nav aria-label="{page.text(say("joint_contents"))}"><ol>{summary}{entries}</ol></nav>\n'


def _summary(parts: Sequence[Part], say: Words) -> str:
    head = [
        say(name) for name in ("joint_run", "tile_labels", "joint_measure", "joint_change", "joint_verdict")
    ]
    rows = [
        [s.what, f"{s.answers:,}", s.measure, s.change, s.verdict] for s in (part.summary for part in parts)
    ]
    said = page.section(say("joint_summary"), say("joint_summary_say"), page.table(head, rows))
    return said.replace("<section>", '<section id="summary" class="summary">', 1)


def _half(part: Part, number: int, say: Words) -> str:
    """A run under its own heading: its headings one level lower, its ids its own."""
    body = re.sub(r"(</?)h([2-5])>", lambda found: f"{found[1]}h{int(found[2]) + 1}>", part.body)
    mine = set(re.findall(r' id="([\w.-]+)"', body))
    for name in mine:
        body = re.sub(rf'( id="|href="#|url\(#){re.escape(name)}(?=["\)])', rf"\g<1>{name}-{number}", body)
    return f'<article id="{_name(number)}"><h2>{_title(part, say)}</h2>\n{body}</article>\n'


def _title(part: Part, say: Words) -> str:
    return page.text(say("joint_half", half=say(f"joint_{part.kind}"), title=part.title))


def _name(number: int) -> str:
    return f"run-{number}"
