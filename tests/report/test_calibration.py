"""Forecasts of answers, against loops and examples by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plaudit.maths.intervals import wilson
from plaudit.report import evaluations
from plaudit.report.texts import Texts


def made_forecasts(rounds: list[int]) -> tuple[evaluations.Forecasts, list[tuple[float, float, int]]]:
    """Rounds of forecasts as metrics rows would hold them, with some equal answers among them."""
    generator, total, cases, rows = np.random.default_rng(3), 10, [], []
    for n in rounds:
        total += n + 1
        p, y = generator.random(n).tolist(), generator.integers(0, 2, n).astype(float).tolist()
        fresh = {"reward/held_out_probabilities": [*p, 0.9], "reward/held_out_answers": [*y, 0.5]}
        rows += [{"feedback/labels": total, **fresh}, {"feedback/labels": total}]
        cases += [(a, b, total) for a, b in zip(p, y, strict=True)]
    return evaluations.read(tuple(rows)), cases


def test_forecasts_are_pooled_without_equal_answers() -> None:
    found, cases = made_forecasts([12, 9, 5, 30, 3])
    assert list(zip(found.probabilities, found.outcomes, found.labels, strict=True)) == cases
    right = [(p > 0.5) == (y == 1) for p, y, _ in cases]
    groups = evaluations.accuracy(found)
    assert [group.n for group in groups] == [21, 38]  # 12 + 9, then 5 + 30, and the rest of 3 joins
    assert groups[0].share == pytest.approx(sum(right[:21]) / 21)
    assert (groups[1].low, groups[1].high) == wilson(sum(right[21:]), 38)
    assert groups[0].at == pytest.approx(np.mean([labels for _, _, labels in cases[:21]]))
    assert [group.n for group in evaluations.accuracy(made_forecasts([4, 3])[0])] == [7]
    assert evaluations.accuracy(evaluations.read(())) == []


def test_reliability_counts_every_answer_once() -> None:
    found, cases = made_forecasts([40, 40])
    bins = evaluations.reliability(found)
    assert sum(one.n for one in bins) == 80
    for i, one in enumerate(bins):
        inside = [(p, y) for p, y, _ in cases if i / 5 <= p < (i + 1) / 5]
        assert one.at == pytest.approx(np.mean([p for p, _ in inside]))
        assert one.share == pytest.approx(np.mean([y for _, y in inside]))


def test_overconfidence_shows() -> None:
    generator = np.random.default_rng(0)
    p = generator.uniform(0.05, 0.95, 600)
    y = (generator.random(600) < p).astype(float)
    sharp = p**3 / (p**3 + (1 - p) ** 3)  # three times the logit
    labels = np.arange(600.0)
    fair = evaluations.calibration(evaluations.Forecasts(p, y, labels), generator)
    bold = evaluations.calibration(evaluations.Forecasts(sharp, y, labels), generator)
    assert fair.slope_low < 1 < fair.slope_high
    assert bold.slope_low < 1 / 3 < bold.slope_high < 1
    assert fair.brier < bold.brier
    assert fair.base_brier == pytest.approx(y.mean() * (1 - y.mean()))


def test_other_kinds_than_comparisons_are_foreseen_too() -> None:
    """The newest share of each kind; of ratings alone it is not said that nothing was tried."""
    nothing = evaluations.read([])
    rows: list[Any] = [
        {"reward/held_out_rating_accuracy": 0.2, "reward/held_out_accuracy": 0.1},
        {"reward/held_out_rating_accuracy": 0.62, "reward/held_out_ranking_accuracy": 0.7, "reward/held_out_rating_nll": 2.0},
        {},
    ]  # fmt: skip
    run: Any = SimpleNamespace(rows=rows)
    told = evaluations.accuracy_section(run, nothing, Texts("en"))
    assert "ranking 70%, rating 62%" in told and "not yet been tried" not in told
    run = SimpleNamespace(rows=[])
    assert "not yet been tried" in evaluations.accuracy_section(run, nothing, Texts("en"))
