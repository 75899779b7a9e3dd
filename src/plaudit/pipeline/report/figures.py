"""The figures of the report as SVG text; equal data give equal bytes."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from plaudit.pipeline.statistics import wilson

BLUE, ORANGE, GREY = "#2a7ab8", "#d9742b", "#8a8f98"  # told apart by colour-blind people, and on black
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "plaudit",
    "font.size": 11,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.grid": True,
    "grid.alpha": 0.25,
}


def curve(
    x: Sequence[float], y: Sequence[float], labels: tuple[str, str], marks: Sequence[float] = ()
) -> str:
    """A line, with dotted verticals at the marks."""

    def draw(axes: Any) -> None:
        for mark in marks:
            axes.axvline(mark, color=GREY, linestyle=":", linewidth=0.8)
        axes.plot(x, y, color=BLUE, linewidth=2)

    return _figure(draw, labels)


def scatter(groups: dict[str, tuple[np.ndarray, np.ndarray]], labels: tuple[str, str]) -> str:
    """Named clouds of dots."""

    def draw(axes: Any) -> None:
        for (name, (x, y)), colour in zip(groups.items(), (GREY, BLUE, ORANGE), strict=False):
            axes.scatter(x, y, s=26, color=colour, alpha=0.8, label=name, linewidths=0)
        axes.legend(frameon=False)

    return _figure(draw, labels)


def shares(x: Sequence[float], hits: Sequence[tuple[int, int]], labels: tuple[str, str]) -> str:
    """Shares with their Wilson intervals, and the line of guessing."""

    def draw(axes: Any) -> None:
        values = [k / n for k, n in hits]
        bounds = [wilson(k, n) for k, n in hits]
        below = [max(0.0, v - low) for v, (low, _) in zip(values, bounds, strict=True)]
        above = [max(0.0, high - v) for v, (_, high) in zip(values, bounds, strict=True)]
        axes.axhline(0.5, color=ORANGE, linestyle="--", linewidth=1)
        axes.errorbar(x, values, yerr=[below, above], fmt="o", color=BLUE, ecolor=GREY, capsize=3)
        axes.set_ylim(0, 1.05)

    return _figure(draw, labels)


def reliability(probabilities: np.ndarray, outcomes: np.ndarray, labels: tuple[str, str]) -> str:
    """Share that came true against the mean forecast of equally wide bins; the counts stand beside the dots."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=ORANGE, linestyle="--", linewidth=1)
        bins = np.minimum((probabilities * 6).astype(int), 5)
        for b in range(6):
            inside = bins == b
            if inside.any():
                at = float(probabilities[inside].mean()), float(outcomes[inside].mean())
                axes.scatter(*at, s=40, color=BLUE, linewidths=0)
                axes.annotate(
                    str(int(inside.sum())), at, textcoords="offset points", xytext=(7, -4), fontsize=9
                )
        axes.set_xlim(-0.03, 1.08)
        axes.set_ylim(-0.05, 1.08)

    return _figure(draw, labels)


def _figure(draw: Any, labels: tuple[str, str]) -> str:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        if axes.get_xlim()[1] >= 10_000:
            axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k")
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
