"""The report of one run, control or language."""

from importlib import import_module
from pathlib import Path

from plaudit.report import evidence, page
from plaudit.report.page import Part
from plaudit.report.words import Language, Words
from plaudit.runs.files import write_whole
from plaudit.runs.folder import RunFolder


def write_report(folder: RunFolder, language: Language = "en") -> Path:
    """Write report.html of a run, finished or not: one file that fetches nothing. Returns its path."""
    made = part(folder, Words(language))
    write_whole(folder.report, page.page(made.title, made.body, language))
    return folder.report


def part(folder: RunFolder, say: Words) -> Part:
    """What there is to say about a run; its kind is imported here, so that the other needs not be installed."""
    run = evidence.read(folder)
    return import_module(f"plaudit.report.{run.kind}.body").body(run, say)
