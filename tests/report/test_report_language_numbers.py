"""The numbers of a language run's page, against the files read again in plain loops and examples by hand."""

import json
import re
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.report import evidence, forecasts, write_report
from plaudit.report.language import drift, overoptimisation, samples, trace
from plaudit.report.words import Words
from plaudit.runs.folder import RunFolder
from tests.report.made_language_run import FALLING, KL, PROXY, RISING, Made, make
from tests.report.pages import Page

WATCHED = (0.7, 0.6, 0.4, 0.2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with held-out judgements whose model of update 4 was kept."""
    return make(tmp_path_factory.mktemp("runs") / "run", Made(FALLING, kept=4, watched=WATCHED))


@pytest.fixture(scope="module")
def words(folder: RunFolder) -> str:
    """The text of its page."""
    return Page(write_report(folder).read_text(encoding="utf-8")).words


def plain_rows(folder: RunFolder) -> list[dict[str, Any]]:
    """metrics.jsonl, read by hand."""
    return [json.loads(line) for line in folder.metrics.read_text().splitlines()]


def test_evaluations_are_those_of_the_rows(folder: RunFolder) -> None:
    points = trace.points(evidence.read(folder))
    assert [p.update for p in points] == [0, 2, 4, 6, 8, 10, 12]
    assert [p.hidden for p in points] == list(FALLING)
    assert [p.proxy for p in points] == list(PROXY)
    assert [p.kl for p in points] == list(KL)
    assert [p.error for p in points] == pytest.approx([0.1 / 4] * 7)  # spread .1 over 16 prompts


def test_what_the_rows_lack_comes_from_the_result(folder: RunFolder, tmp_path: Path) -> None:
    other = make(tmp_path / "ends", Made(RISING))
    kept = [{k: v for k, v in row.items() if k[:5] not in ("eval/", "start")} for row in plain_rows(other)]
    other.metrics.write_text("".join(json.dumps(row) + "\n" for row in kept))
    points = trace.points(evidence.read(other))
    assert [(p.update, p.hidden, p.kl) for p in points] == [(0, 0.5, 0.0), (12, 0.8, 5.5)]
    assert trace.kept(evidence.read(other)) is None and trace.kept(evidence.read(folder)) == 4


def test_checks_are_those_of_the_rows(folder: RunFolder) -> None:
    checks = trace.judged(evidence.read(folder))
    assert [(c.update, c.kl, c.rate, c.count) for c in checks] == [
        (3, 1.5, 0.7, 10),
        (6, 3.0, 0.6, 10),
        (9, 4.5, 0.4, 10),
        (12, 6.0, 0.2, 10),
    ]


def test_nobody_is_said_to_have_judged_who_has_not(tmp_path: Path) -> None:
    other = make(tmp_path / "silent", Made(hidden=None, watched=(0.5, 0.5, 0.5, 0.5)))
    silent = [row | ({"watch/judgements": 0} if "watch/win_rate" in row else {}) for row in plain_rows(other)]
    other.metrics.write_text("".join(json.dumps(row) + "\n" for row in silent))
    run = evidence.read(other)
    assert trace.judged(run) == [] and overoptimisation.course(run) is None
    shown = Page(write_report(other).read_text(encoding="utf-8")).words
    assert "judgements of this model" not in shown and "At each check" not in shown


def test_answers_that_came_late_are_counted(folder: RunFolder, tmp_path: Path) -> None:
    """The result has more answers than the rows had when their checks were made."""
    other = make(tmp_path / "late", Made(FALLING, watched=WATCHED))
    manifest = json.loads(other.manifest.read_text())
    counts = ((3, 6.0, 12), (6, 7.5, 10), (9, 0.0, 0), (12, 3.0, 4))
    manifest["result"]["checks"] = [
        {"update": update, "kl": update / 2, "points": points, "judgements": count}
        for update, points, count in counts
    ]
    other.manifest.write_text(json.dumps(manifest))
    checks = trace.judged(evidence.read(other))
    assert [(c.update, c.kl, c.rate, c.count) for c in checks] == [
        (3, 1.5, 0.5, 12),
        (6, 3.0, 0.75, 10),
        (12, 6.0, 0.75, 4),
    ]


def test_accuracy_and_calibration_count_both_kinds_of_forecasts(folder: RunFolder, words: str) -> None:
    pairs = []
    for row in plain_rows(folder):
        for kind in ("reward", "watch"):
            given_, came = row.get(f"{kind}/fresh_probabilities", []), row.get(f"{kind}/fresh_answers", [])
            pairs += [(kind, p, y) for p, y in zip(given_, came, strict=True) if y != 0.5]
    right = [(p > 0.5) == (y == 1.0) for _, p, y in pairs]
    held = [hit for hit, (kind, _, _) in zip(right, pairs, strict=True) if kind == "watch"]
    assert (len(pairs), sum(right), len(held), sum(held)) == (44, 31, 40, 28)
    assert "it foresaw 70% of 44 answers" in words
    assert "Of these, 40 are held-out judgements, which nothing learns from: it foresaw 70% of them" in words
    brier = sum((p - y) ** 2 for _, p, y in pairs) / len(pairs)
    assert f"Brier score {brier:.3f}" in words
    assert len(forecasts.read(tuple(plain_rows(folder)), ("watch",)).outcomes) == 40


def test_rank_correlations_are_of_the_answers(words: str) -> None:
    # by construction 1 before and -1 after; over all, Spearman's formula with mid-ranks by hand
    hidden = [i / 16 for i in range(16)] * 2
    proxy = [i / 10 - 0.8 for i in range(16)] + [2 - i / 10 for i in range(16)]

    def ranks(values: list[float]) -> list[float]:
        return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]

    a, b = ranks(hidden), ranks(proxy)
    mean = sum(a) / 32
    top = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    whole = top / sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    assert f"Rank correlation: 1.00 before, −1.00 after, {whole:.2f} over all dots".replace("-", "−") in words


def test_what_people_said_is_counted(words: str) -> None:
    assert "2 of these answers only check" in words
    table = re.search(r"chose left(.*?)everyone(.*?)Settings", words, re.DOTALL)
    assert table is not None
    # ann: second, skip, first, first; bob: first; shown in the order of the options
    assert table[1] == "ann421167% (21–94%)bob1100100% (21–100%)"
    assert table[2].split("%")[0] == "531175"


def test_samples_are_summed_by_hand(words: str) -> None:
    # multiples 0 to 5 have the mean 2.5
    assert "Mean hidden score of these 6: 0.25 before, 1.25 after, 0.75 best of 8." in words
    assert "Mean learned reward of these 6: −0.50 before, 1.50 after, 2.25 best of 8." in words
    assert "hidden score 2.50 · learned reward 3.00" in words  # the last prompt, after


def test_the_price_of_best_of_8(words: str) -> None:
    assert "best of 8 answers of the untrained model costs 1.20 nats at most" in words
    assert "stands at 1.30 nats" in words


def test_the_course_by_hand() -> None:
    # neighbours averaged: truth 2, 3, 4, 3, 2; proxy 1.5, 2, 3, 4, 4.5
    found = overoptimisation.follow("hidden", (0, 1, 2, 3, 4), ([1, 3, 5, 4, 0], [0.1] * 5), (1, 2, 3, 4, 5))
    assert (found.peak, found.high, found.now) == (2, 4.0, 2.0)
    assert (found.proxy_high, found.proxy_now, found.seen) == (3.0, 4.5, True)
    large = overoptimisation.follow("hidden", (0, 1, 2, 3, 4), ([1, 3, 5, 4, 0], [1.0] * 5), (1, 2, 3, 4, 5))
    assert not large.seen  # two standard errors of the difference are 2.83
    fell = overoptimisation.follow("hidden", (0, 1, 2, 3, 4), ([1, 3, 5, 4, 0], [0.1] * 5), (5, 4, 3, 2, 1))
    assert not fell.seen


@given(st.lists(st.floats(-10, 10), min_size=4, max_size=12), st.floats(0, 1))
def test_a_truth_that_never_falls_is_never_over_optimised(values: list[float], error: float) -> None:
    rising = sorted(values)
    found = overoptimisation.follow("hidden", range(len(rising)), (rising, [error] * len(rising)), rising)
    assert not found.seen


def test_drift_is_that_of_the_held_out_answers(folder: RunFolder) -> None:
    run = evidence.read(folder)
    assert drift.found(run, "tokens") == drift.Drift(20, 20)  # update 4 was kept
    assert drift.warned(run, Words("en")) == []
    assert drift.found(run, "nothing") is None


def test_pieces_keep_every_number() -> None:
    answer = {"text": "a b�", "tokens": ["a", "", " b", "�<|end|>"], "adds": [0.1, 0.2, 0.3, 0.4]}
    P = samples.Piece
    assert samples.pieces(answer) == [
        P("a", 0.1),
        P(" b", pytest.approx(0.5)),  # pyright: ignore
        P("�", 0.4),
        P("<|end|>", None, end=True),
    ]
    assert samples.pieces({"text": "a"}) == [P("a", None)]
    short = {"text": "ab", "tokens": ["a", "b"], "adds": [0.1]}
    assert samples.pieces(short) == [P("a", None), P("b", None)]
    cut = {"text": "ab", "tokens": ["a", "b"], "adds": [0.1, float("nan")]}
    assert samples.pieces(cut) == [P("a", None), P("b", None)]


@pytest.mark.parametrize(
    ("adds", "level"), [(0, 0), (0.19, 0), (-0.21, 1), (0.59, 1), (0.61, 2), (-1.01, 3), (1.2, 3), (9, 3)]
)
def test_levels_are_thirds_of_the_strongest(adds: float, level: int) -> None:
    assert samples.level(adds, 1.2) == level
    assert samples.level(adds, 0.0) == 0


def test_the_curve_has_every_evaluation(folder: RunFolder) -> None:
    """The path of the hidden score in the drawing: seven points, spaced as their KL is."""
    text = write_report(folder).read_text(encoding="utf-8")
    card = text[text.index("Is the reward being gamed?</h2>") :]
    paths = re.findall(r'<path d="([^"]+)" clip-path[^>]*stroke: var\(--(\w+)\); stroke-width: 1.8', card)
    green = next(path for path, colour in paths if colour == "green")
    found = np.array([[float(n) for n in pair] for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", green)])
    assert len(found) == 7
    across, up = found[:, 0] - found[0, 0], found[0, 1] - found[:, 1]
    assert across / across[-1] == pytest.approx(np.array(KL) / KL[-1], abs=1e-4)
    assert up / up[2] == pytest.approx((np.array(FALLING) - 0.5) / 0.2, abs=1e-3)
