"""One page about several runs, and seeds of language runs."""

import json
import re
from pathlib import Path
from statistics import mean, stdev

import pytest
import yaml

from plaudit.errors import PlauditError
from plaudit.report import write_joint_report, write_report, write_seeds_report
from plaudit.runs.folder import RunFolder
from tests.report.made_language_run import Made, make
from tests.report.pages import Page


def control(path: Path) -> RunFolder:
    """A control run that stopped before its first checkpoint."""
    path.mkdir()
    folder = RunFolder(path)
    config = {
        "environment": {"id": "Pendulum-v1"},
        "algorithm": "ppo",
        "steps": 9,
        "feedback": {"labels": 50},
    }
    folder.config.write_text(yaml.safe_dump(config | {"reward": {"weights": {"learned": 1}}}))
    folder.manifest.write_text(json.dumps({"status": "stopped", "seed": 1}))
    rows = [{"update": i, "decisions": i, "rollout/ep_rew_mean": -i, "feedback/labels": 30} for i in (1, 2)]
    folder.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def both(tmp_path: Path) -> list[RunFolder]:
    """A run of each kind."""
    return [control(tmp_path / "control"), make(tmp_path / "language")]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_halves_stand_on_one_page(both: list[RunFolder], tmp_path: Path, language: str) -> None:
    path = write_joint_report(both, tmp_path / "both.html", language)  # pyright: ignore
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags["h1"] == 1 and page.tags["article"] == 2 and page.tags["nav"] == 1
    assert page.tags["h2"] == 3  # the summary and the halves; everything else is below them
    assert len(set(page.ids)) == len(page.ids)
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert {"summary", "run-1", "run-2"} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    for part in (write_report(folder, language) for folder in both):  # pyright: ignore
        alone = Page(part.read_text(encoding="utf-8"))
        assert alone.tags["svg"] and alone.tags["section"]
        page.tags -= alone.tags
    assert page.tags["svg"] == 0 and page.tags["section"] == 1  # the summary


def test_the_summary_has_the_numbers_of_both(both: list[RunFolder], tmp_path: Path) -> None:
    words = Page(write_joint_report(both, tmp_path / "both.html").read_text(encoding="utf-8")).words
    assert "In reinforcement learning from human feedback (RLHF)" in words
    assert "Only the behaviour differs" in words
    assert "Pendulum-v1, PPO30true return–not finished" in words
    assert "Service dialogues, PPO40hidden score0.50 → 0.80better (wins 75%, 95% interval 60–90%)" in words
    assert words.count("Control · Pendulum-v1: what was learned") == 2  # the contents and the heading
    assert words.count("Language · Service dialogues: what the language model learned") == 2


def test_the_same_run_twice_shares_no_id(both: list[RunFolder], tmp_path: Path) -> None:
    path = write_joint_report([both[1], both[1]], tmp_path / "twice.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert len(set(page.ids)) == len(page.ids)
    assert "Only the behaviour differs" not in page.words


def test_a_joint_page_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="at least one run"):
        write_joint_report([], tmp_path / "none.html")


def test_seeds_of_language_runs(tmp_path: Path) -> None:
    rates, ends = (0.55, 0.75, 0.80), (0.70, 0.80, 0.75)
    runs = []
    for seed, (rate, end) in enumerate(zip(rates, ends, strict=True)):
        hidden = (0.5, 0.5, 0.6, 0.6, 0.7, 0.7, end)
        runs.append(make(tmp_path / f"seed-{seed}", Made(hidden=hidden, wins=(rate, 0.5, 0.9))))
    page = Page(write_seeds_report(runs, tmp_path / "seeds.html").read_text(encoding="utf-8"))
    half = [4.302653 * stdev(values) / 3**0.5 for values in (rates, ends)]  # t of 2 degrees of freedom
    low, high = (f"{100 * min(1, mean(rates) + sign * half[0]):.0f}%" for sign in (-1, 1))
    assert f"At the end: win rate 70% (95% interval {low} to {high}), lowest seed 55%" in page.words
    low, high = (f"{mean(ends) + sign * half[1]:.2f}" for sign in (-1, 1))
    assert f"At the end: hidden score 0.75 (95% interval {low} to {high}), lowest seed 0.70" in page.words
    assert (
        "Win rates are against the model as it started" in page.words and "At the end: KL" not in page.words
    )
    assert "seed-13finished124075%0.805.50" in page.words  # seed 3, 12 updates, 40 answers
    assert page.tags["svg"] == 1 and "Service dialogues: 3 runs with different seeds" in page.words


def test_seeds_without_a_hidden_score_and_unfinished_ones(tmp_path: Path) -> None:
    runs = [make(tmp_path / str(i), Made(hidden=None)) for i in range(2)]
    words = Page(write_seeds_report(runs, tmp_path / "a.html").read_text(encoding="utf-8")).words
    assert "At the end: learned reward 1.80" in words and "hidden score" not in words
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
