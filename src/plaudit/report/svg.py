"""Figures as SVG elements: equal data give equal bytes; colours are names that the page's style fills in."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure

INK, QUIET, LINE = "#010101", "#020202", "#030303"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
NAMES = {
    INK: "ink", QUIET: "quiet", LINE: "line", BLUE: "blue", ORANGE: "orange", GREEN: "green",
}  # fmt: skip
"""Okabe and Ito's colours, which stay apart for colour-blind people; the page lightens them on dark ground."""

SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "plaudit",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": LINE,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlecolor": QUIET,
    "axes.prop_cycle": cycler(color=[BLUE]),
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xaxis.labellocation": "right",
    "lines.linewidth": 1.8,
}


@contextmanager
def style() -> Iterator[None]:
    """Our settings over matplotlib's own: nobody's matplotlibrc changes the page."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def svg(figure: Figure, about: str) -> str:
    """The figure as an SVG element that scales with the page, its ids its own and its colours by name."""
    file = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>\s*|<defs>\s*<style.*?</defs>\s*", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]+)"', text)
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = body.replace("xlink:href", "href")
    stamp = _stamp(body)
    used = set(re.findall(r'(?:href="#|url\(#)([\w.-]+)', body))
    mine = {name: f"{name}-{stamp}" for name in used}
    body = re.sub(
        r' id="([\w.-]+)"', lambda match: f' id="{mine[match[1]]}"' if match[1] in mine else "", body
    )
    body = re.sub(r'(href="#|url\(#)([\w.-]+)', lambda match: match[1] + mine[match[2]], body)
    body = re.sub(r" font-family: [^;\"]+;", "", body)
    for colour, name in NAMES.items():
        body = body.replace(colour, f"var(--{name})")
    return f'<svg role="img" viewBox="{box[1] if box else "0 0 360 220"}" aria-label="{_quoted(about)}">{body.strip()}'


def _stamp(text: str) -> str:
    """A short name of a content: two charts on one page never share an id unless they are the same."""
    total = 0
    for character in text:
        total = (total * 131 + ord(character)) % 2**32
    return f"{total:08x}"


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
