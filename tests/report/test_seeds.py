"""Pages over seeds: means with intervals, of control and of language."""

import json
import shutil
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest

from plaudit.errors import PlauditError
from plaudit.report import seeds, write_seeds_report
from plaudit.runs.folder import RunFolder
from plaudit.runs.statistics import mean_interval
from tests.report.made_language_run import Made, make
from tests.report.pages import Page


def test_curves_over_seeds_are_interpolated_where_all_have_data() -> None:
    found = [
        (np.array([0.0, 10.0]), np.array([0.0, 10.0])),
        (np.array([2.0, 6.0, 8.0]), np.array([4.0, 4.0, 8.0])),
    ]
    steps, (mean, low, high) = seeds.mean_curve(found)
    assert (steps[0], steps[-1]) == (2, 8)
    for x, m, lo, hi in zip(steps, mean, low, high, strict=True):
        other = 4.0 if x <= 6 else 4 + 2 * (x - 6)
        assert (m, lo, hi) == pytest.approx(mean_interval([x, other]))


def test_seeds_of_language_runs(tmp_path: Path) -> None:
    rates, ends = (0.55, 0.75, 0.80), (0.70, 0.80, 0.75)
    runs = []
    for seed, (rate, end) in enumerate(zip(rates, ends, strict=True)):
        gold = (0.5, 0.5, 0.6, 0.6, 0.7, 0.7, end)
        runs.append(make(tmp_path / f"seed-{seed}", Made(gold=gold, wins=(rate, 0.5, 0.9))))
    page = Page(write_seeds_report(runs, tmp_path / "seeds.html").read_text(encoding="utf-8"))
    half = [4.302653 * stdev(values) / 3**0.5 for values in (rates, ends)]  # t of 2 degrees of freedom
    low, high = (f"{100 * min(1, mean(rates) + sign * half[0]):.0f}%" for sign in (-1, 1))
    assert f"At the end: win rate 70% (95% interval {low} to {high}), lowest seed 55%" in page.words
    low, high = (f"{mean(ends) + sign * half[1]:.2f}" for sign in (-1, 1))
    assert f"At the end: gold reward 0.75 (95% interval {low} to {high}), lowest seed 0.70" in page.words
    assert (
        "Win rates are against the model as it started" in page.words and "At the end: KL" not in page.words
    )
    assert "seed-13finished124075%0.805.50" in page.words  # seed 3, 12 updates, 40 answers
    assert page.tags["svg"] == 1 and "Service dialogues: 3 runs with different seeds" in page.words


def test_seeds_without_a_gold_reward_and_unfinished_ones(tmp_path: Path) -> None:
    runs = [make(tmp_path / str(i), Made(gold=None)) for i in range(2)]
    words = Page(write_seeds_report(runs, tmp_path / "a.html").read_text(encoding="utf-8")).words
    assert "At the end: learned reward 1.80" in words and "gold reward" not in words
    for run in runs:
        manifest = run.read_manifest() | {"status": "running"}
        manifest.pop("result")
        run.manifest.write_text(json.dumps(manifest))
    words = Page(write_seeds_report(runs, tmp_path / "b.html").read_text(encoding="utf-8")).words
    assert "None of the runs is finished" in words
    chinese = Page(write_seeds_report(runs, tmp_path / "c.html", "zh").read_text(encoding="utf-8")).words
    assert "还没有一次运行完成" in chinese


def test_kinds_have_no_mean_in_common(both: list[RunFolder], tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="both kinds"):
        write_seeds_report(both, tmp_path / "mixed.html")


def test_seeds(asked: RunFolder, plain: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(plain.path, tmp_path / "other")
    other = RunFolder(tmp_path / "other")
    other.write_manifest({"result": {"return_mean": -900.0, "return_std": 1.0, "episodes": 4}, "seed": 1})
    page = Page(write_seeds_report([plain, other], tmp_path / "seeds.html").read_text(encoding="utf-8"))
    assert "2 runs with different seeds" in page.words
    assert "lowest seed" in page.words
    assert page.tags["svg"] == 1
    alone = Page(write_seeds_report([plain], tmp_path / "one.html", "zh").read_text(encoding="utf-8"))
    assert "只有一次运行已完成" in alone.words
    empty = Page(write_seeds_report([RunFolder(tmp_path / "none")], tmp_path / "none.html").read_text())
    assert "None of the runs is finished" in empty.words
    with pytest.raises(PlauditError, match="at least one run"):
        write_seeds_report([], tmp_path / "nothing.html")
