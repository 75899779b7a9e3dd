"""The page itself: one HTML file that fetches nothing, light or dark as the reader's system wants it."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from plaudit.report.charts import Picture
from plaudit.report.texts import Language

LANGUAGE_TAGS = {"en": "en", "zh": "zh-Hans"}


@dataclass(frozen=True)
class Summary:
    """A run in one row of a table."""

    what: str
    """What learned, and what about."""
    answers: int
    """Answers of people learned from."""
    measure: str
    """What it is measured by."""
    change: str
    """The measure before and after."""
    verdict: str
    """better, worse or not clear, in a few words."""


@dataclass(frozen=True)
class Part:
    """What there is to say about one run."""

    medium: str
    """control or language."""
    title: str
    body: str
    """HTML."""
    summary: Summary


def page(title: str, body: str, language: Language) -> str:
    """A whole document around a body."""
    style = (files("plaudit.report") / "style.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="{LANGUAGE_TAGS[language]}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title>\n<style>\n{style}</style></head>\n<body><main>\n"
        f"<h1>{text(title)}</h1>\n{body}\n</main></body></html>\n"
    )


def text(plain: str) -> str:
    """Plain text as HTML, whatever is in it: half characters that no file can hold are replaced."""
    return html.escape(plain.encode("utf-8", "replace").decode("utf-8"))


def visible(plain: str) -> str:
    """Text with a picture for each control character but line breaks and tabs: pages may not hold them."""
    pictures = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"}
    return plain.translate(pictures | {127: "\u2421"})


def paragraph(plain: str, kind: str = "") -> str:
    """A paragraph; nothing for an empty text."""
    if not plain:
        return ""
    return f'<p class="{kind}">{text(plain)}</p>\n' if kind else f"<p>{text(plain)}</p>\n"


def section(title: str, say: str, body: str, result: str = "", kind: str = "") -> str:
    """A card: what it shows, the finding in numbers, and the figure."""
    opening = f'<section class="{kind}">' if kind else "<section>"
    return f"{opening}<h2>{text(title)}</h2>\n{paragraph(say)}{paragraph(result, 'result')}{body}</section>\n"


def picture(figure: Picture) -> str:
    """A chart and its legend."""
    entries = [
        f'<li><span style="background:var(--{colour})"></span>{text(label)}</li>'
        for colour, label in figure.legend
    ]
    legend = f'<ul class="legend">{"".join(entries)}</ul>' if entries else ""
    return f"{figure.svg}\n{legend}\n"


def tile(value: str, label: str, note: str, kind: str = "") -> str:
    """A large number; `value` is HTML."""
    opening = f'<div class="tile {kind}">' if kind else '<div class="tile">'
    return f"{opening}<b>{value}</b><span>{text(label)}</span><i>{text(note)}</i></div>\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls sideways where the screen is narrow."""
    top = "".join(f"<th>{text(cell)}</th>" for cell in head)
    lines = ["<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    heading = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f'<div class="scroll"><table>{heading}<tbody>{"".join(lines)}</tbody></table></div>\n'
