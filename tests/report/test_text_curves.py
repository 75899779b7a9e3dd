"""The numbers and figures of a language run's page, against the files read again and examples by hand."""

import re
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import yaml

from plaudit.report import charts, data, evaluations, text_curves, write_report
from plaudit.report.texts import Texts
from plaudit.runs.folder import RunFolder
from tests.report.made_language_run import FALLING, KL, make, plain_rows
from tests.report.pages import Page


def test_accuracy_and_calibration_count_both_kinds_of_forecasts(folder: RunFolder, words: str) -> None:
    pairs = []
    for row in plain_rows(folder):
        for kind in ("reward", "watch"):
            given_, came = (
                row.get(f"{kind}/held_out_probabilities", []),
                row.get(f"{kind}/held_out_answers", []),
            )
            pairs += [(kind, p, y) for p, y in zip(given_, came, strict=True) if y != 0.5]
    right = [(p > 0.5) == (y == 1.0) for _, p, y in pairs]
    held = [hit for hit, (kind, _, _) in zip(right, pairs, strict=True) if kind == "watch"]
    assert (len(pairs), sum(right), len(held), sum(held)) == (44, 31, 40, 28)
    assert "it foresaw 70% of 44 answers" in words
    assert "Of these, 40 are held-out judgements, which nothing learns from: it foresaw 70% of them" in words
    brier = sum((p - y) ** 2 for _, p, y in pairs) / len(pairs)
    assert f"Brier score {brier:.3f}" in words
    assert len(evaluations.read(tuple(plain_rows(folder)), ("watch",)).outcomes) == 40


def test_rank_correlations_are_of_the_answers(words: str) -> None:
    # by construction 1 before and -1 after; over all, Spearman's formula with mid-ranks by hand
    gold = [i / 16 for i in range(16)] * 2
    proxy = [i / 10 - 0.8 for i in range(16)] + [2 - i / 10 for i in range(16)]

    def ranks(values: list[float]) -> list[float]:
        return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]

    a, b = ranks(gold), ranks(proxy)
    mean = sum(a) / 32
    top = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    whole = top / sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    assert f"Rank correlation: 1.00 before, −1.00 after, {whole:.2f} over all dots".replace("-", "−") in words


def test_the_price_of_best_of_8(words: str) -> None:
    assert "best of 8 answers of the untrained model costs 1.20 nats at most" in words
    assert "stands at 1.30 nats" in words


def test_drift_is_that_of_the_held_out_answers(folder: RunFolder) -> None:
    run = data.read(folder)
    assert text_curves.drifted(run, "tokens") == text_curves.Drift(20, 20)  # update 4 was kept
    assert text_curves.warned(run, Texts("en")) == []
    assert text_curves.drifted(run, "nothing") is None


@pytest.mark.slow
def test_the_curve_has_every_evaluation(folder: RunFolder) -> None:
    """The path of the gold reward in the drawing: seven points, spaced as their KL is."""
    text = write_report(folder).read_text(encoding="utf-8")
    card = text[text.index("Is the reward being gamed?</h2>") :]
    paths = re.findall(r'<path d="([^"]+)" clip-path[^>]*stroke: var\(--(\w+)\); stroke-width: 1.8', card)
    green = next(path for path, colour in paths if colour == "green")
    found = np.array([[float(n) for n in pair] for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", green)])
    assert len(found) == 7
    across, up = found[:, 0] - found[0, 0], found[0, 1] - found[:, 1]
    assert across / across[-1] == pytest.approx(np.array(KL) / KL[-1], abs=1e-4)
    assert up / up[2] == pytest.approx((np.array(FALLING) - 0.5) / 0.2, abs=1e-3)


@pytest.mark.parametrize(
    ("reference", "apart"), [(None, False), ("somewhere/lm", False), ("elsewhere/lm", True)]
)
@pytest.mark.slow
def test_distances_from_two_models_are_not_drawn_as_one(
    tmp_path: Path, reference: str | None, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluations measure KL from the start, practice from the reference."""
    drawn: list[charts.Panel] = []
    panels = text_curves.panels
    monkeypatch.setattr(
        text_curves, "panels", lambda parts, *a, **k: drawn.extend(parts) or panels(parts, *a, **k)
    )
    folder = make(tmp_path / "run")
    config = yaml.safe_load(folder.config.read_text()) | {"reference": reference}
    folder.config.write_text(yaml.safe_dump(config))
    text_curves.distance(data.read(folder), Texts("en"))
    found = {panel.title: [tuple(line.y) for line in panel.lines] for panel in drawn}
    practised, evaluated = tuple(k + 0.01 for k in (*KL[:1], *sorted(KL[1:6] * 2), KL[6])), KL
    told = "KL from the reference model, nats per answer"
    assert found.get(told) == ([practised] if apart else None)
    assert found["KL, nats per answer"] == ([evaluated] if apart else [practised, evaluated])
    shown = Page(write_report(folder).read_text(encoding="utf-8")).words.split("Settings, versions")[0]
    assert "how far it has moved from the model as it started" in shown
    assert "differ from those of the model as it started" in shown
    assert "how far the model had moved from its start" in shown
    assert ("reference" in shown) == apart
