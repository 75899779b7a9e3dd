"""Charts as SVG for inline use: curves, panels, points with bars, scatters and reliability diagrams."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

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


__all__ = [
    "BLUE", "GREEN", "INK", "ORANGE", "Curve", "Histogram", "Labels", "Level", "Marks", "Panel", "Picture",
    "accuracy", "curves", "panels", "reliability", "scatter",
]  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """Points [N] joined by a line."""

    x: np.ndarray
    y: np.ndarray
    colour: str
    label: str = ""
    style: str = "-"
    """A line style and markers as matplotlib writes them; `o` alone is points without a line."""
    faint: bool = False
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    """Bounds of a band, or of bars where the style has markers."""
    size: float = 5
    """Of markers."""
    hollow: bool = False
    """Markers are rings, so that what lies below is seen."""


@dataclass(frozen=True)
class Level:
    """A dashed line at a height."""

    height: float
    label: str
    """In the legend."""


@dataclass(frozen=True)
class Marks:
    """Marks on the x axis."""

    at: np.ndarray
    label: str
    """In the legend."""


@dataclass(frozen=True)
class Histogram:
    """Counts [B] between edges [B + 1]."""

    edges: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Panel:
    """One of several charts above each other that share the x axis."""

    title: str
    lines: Sequence[Curve]
    percents: bool = False
    """The y axis is written in percents."""
    level: Level | None = None


@dataclass(frozen=True)
class Labels:
    """The texts of a chart."""

    x: str
    y: str
    about: str
    """What it shows, for people who cannot see it."""


@dataclass(frozen=True)
class Picture:
    """A chart with its legend: (name of the colour, text)."""

    svg: str
    legend: tuple[tuple[str, str], ...] = ()


def curves(lines: Sequence[Curve], labels: Labels, rug: Marks | None = None) -> Picture:
    """Lines, with the marks of `rug` on the x axis."""
    with style():
        figure, axes = _new(labels)
        for line in lines:
            _draw(axes, line)
        legend = (*_legend(lines), *_rug(axes, rug))
        return Picture(svg(figure, labels.about), legend)


def panels(
    parts: Sequence[Panel],
    x: str,
    about: str,
    rug: Marks | None = None,
    whole: bool = True,
) -> Picture:
    """Charts above each other, over whole numbers if not told otherwise; the marks of `rug` stand in the lowest."""
    with style():
        figure = Figure(figsize=(5.0, 0.5 + 1.75 * len(parts)), layout="constrained")
        rows = np.atleast_1d(figure.subplots(len(parts), 1, sharex=True))
        legend: list[tuple[str, str]] = []
        for axes, part in zip(rows, parts, strict=True):
            axes.set_title(part.title)
            _ticks(axes, 4)
            axes.margins(y=0.12)
            axes.xaxis.get_major_locator().set_params(integer=whole)  # pyright: ignore
            for line in part.lines:
                _draw(axes, line)
            if part.percents:
                axes.yaxis.set_major_formatter(FuncFormatter(_percent))
                top = max(axes.get_ylim()[1], 0.05)
                axes.set_ylim(0, top if part.level is None else max(top, 1.02))
            legend += _legend(part.lines)
            if part.level is not None:
                axes.axhline(part.level.height, color=QUIET, linestyle=(0, (4, 3)), linewidth=1)
                legend.append(("quiet", part.level.label))
        rows[-1].set_xlabel(x)
        legend += _rug(rows[-1], rug)
        return Picture(svg(figure, about), tuple(dict.fromkeys(legend)))


def accuracy(lines: Sequence[Curve], chance: str, labels: Labels) -> Picture:
    """Shares in [0, 1] with bars, over a line at one half."""
    with style():
        figure, axes = _new(labels)
        axes.axhline(0.5, color=QUIET, linestyle=(0, (4, 3)), linewidth=1)
        for line in lines:
            _draw(axes, line)
        axes.set_ylim(0, 1.02)
        axes.set_xlim(left=0)
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        return Picture(svg(figure, labels.about), (*_legend(lines), ("quiet", chance)))


def scatter(groups: Sequence[Curve], labels: Labels) -> Picture:
    """Points of several groups."""
    markers = ("s", "o", "^")
    with style():
        figure, axes = _new(labels)
        for group, marker in zip(groups, markers, strict=False):
            axes.scatter(group.x, group.y, s=22, marker=marker, color=group.colour, alpha=0.6, linewidths=0)
        return Picture(svg(figure, labels.about), _legend(groups))


def reliability(points: Curve, histogram: Histogram, labels: Labels, counted: str) -> Picture:
    """Forecast against frequency with bars, over a histogram."""
    edges, heights = histogram.edges, histogram.counts
    with style():
        figure = Figure(figsize=(5.0, 3.9), layout="constrained")
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        axes.set_title(labels.y)
        axes.plot([0, 1], [0, 1], color=QUIET, linestyle=(0, (4, 3)), linewidth=1)
        _draw(axes, points)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        below.bar(edges[:-1], heights, width=np.diff(edges) * 0.94, align="edge", color=BLUE, alpha=0.6)
        for left, width, height in zip(edges[:-1], np.diff(edges), heights, strict=True):
            below.annotate(str(int(height)), (left + width * 0.47, height), (0, 2), textcoords="offset points",
                           ha="center", color=QUIET, fontsize=9)  # fmt: skip
        below.set_title(counted)
        below.set(xlabel=labels.x, ylim=(0, max(1.0, float(np.max(heights))) * 1.35), yticks=[])
        below.xaxis.set_major_formatter(FuncFormatter(_percent))
        below.grid(False)
        below.spines["left"].set_visible(False)
        return Picture(svg(figure, labels.about))


def _new(labels: Labels) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.0, 3.1), layout="constrained")
    axes = figure.subplots()
    axes.set_title(labels.y)
    axes.set_xlabel(labels.x)
    _ticks(axes, 6)
    return figure, axes


def _ticks(axes: Axes, most: int) -> None:
    """Few and short ticks, at most so many on the y axis."""
    for axis, ticks in ((axes.xaxis, 5), (axes.yaxis, most)):
        axis.set_major_locator(MaxNLocator(ticks))
        axis.set_major_formatter(FuncFormatter(partial(_short, axis)))
    axes.margins(x=0.02)


def _rug(axes: Axes, rug: Marks | None) -> list[tuple[str, str]]:
    """Marks on the x axis; what the legend says of them."""
    if rug is None or not len(rug.at):
        return []
    at, height = axes.get_xaxis_transform(), np.full(len(rug.at), 0.03)
    axes.plot(rug.at, height, "|", color=ORANGE, transform=at, markersize=10, markeredgewidth=1.4)
    return [("orange", rug.label)]


def _draw(axes: Axes, line: Curve) -> None:
    alpha = 0.35 if line.faint else 1.0
    width = 1.0 if line.faint else 1.8
    marks = any(mark in line.style for mark in "os^D")
    if line.low is not None and line.high is not None:
        if marks:
            bars = np.maximum([line.y - line.low, line.high - line.y], 0)
            axes.errorbar(
                line.x, line.y, bars, fmt="none", ecolor=line.colour, elinewidth=1.2, capsize=2.5, alpha=0.8
            )
        else:
            axes.fill_between(line.x, line.low, line.high, color=line.colour, alpha=0.2, linewidth=0)
    fill: Any = {"fillstyle": "none", "markeredgewidth": 1.6} if line.hollow else {}
    sizes: Any = {"linewidth": width, "markersize": line.size}
    axes.plot(line.x, line.y, line.style, color=line.colour, alpha=alpha, **sizes, **fill)


def _legend(lines: Sequence[Curve]) -> tuple[tuple[str, str], ...]:
    return tuple((NAMES[line.colour], line.label) for line in lines if line.label)


def _short(axis: Axis, value: float, _: int) -> str:
    """Ticks in the unit of the largest one: 50k, 150k; −1,200; 0.25."""
    largest = max(map(abs, axis.get_view_interval()))
    scale, unit = (1e6, "M") if largest >= 2e6 else (1e3, "k") if largest >= 2e4 else (1.0, "")
    text = f"{value / scale:,.6g}" if abs(value / scale) < 1e6 else f"{value / scale:,.0f}"
    return (text + unit if value else "0").replace("-", "\N{MINUS SIGN}")


def _percent(value: float, _: int) -> str:
    return f"{100 * value:.0f}%"
