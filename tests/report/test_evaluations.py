"""What a language run measured, against the files read again in plain loops and examples by hand."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.report import data, evaluations, write_report
from plaudit.runs.folder import RunFolder
from tests.report.made_language_run import FALLING, KL, PROXY, RISING, WATCHED, Made, make, plain_rows
from tests.report.pages import Page


def test_evaluations_are_those_of_the_rows(folder: RunFolder) -> None:
    points = evaluations.points(data.read(folder))
    assert [p.update for p in points] == [0, 2, 4, 6, 8, 10, 12]
    assert [p.gold_reward for p in points] == list(FALLING)
    assert [p.proxy_reward for p in points] == list(PROXY)
    assert [p.kl for p in points] == list(KL)
    assert [p.error for p in points] == pytest.approx([0.1 / 4] * 7)  # spread .1 over 16 prompts


def test_what_the_rows_lack_comes_from_the_result(folder: RunFolder, tmp_path: Path) -> None:
    other = make(tmp_path / "ends", Made(RISING))
    kept = [{k: v for k, v in row.items() if k[:5] not in ("eval/", "start")} for row in plain_rows(other)]
    other.metrics.write_text("".join(json.dumps(row) + "\n" for row in kept))
    points = evaluations.points(data.read(other))
    assert [(p.update, p.gold_reward, p.kl) for p in points] == [(0, 0.5, 0.0), (12, 0.8, 5.5)]
    assert (
        evaluations.kept_update(data.read(other)) is None and evaluations.kept_update(data.read(folder)) == 4
    )


def test_checks_are_those_of_the_rows(folder: RunFolder) -> None:
    checks = evaluations.checks(data.read(folder))
    assert [(c.update, c.kl, c.rate, c.count) for c in checks] == [
        (3, 1.5, 0.7, 10),
        (6, 3.0, 0.6, 10),
        (9, 4.5, 0.4, 10),
        (12, 6.0, 0.2, 10),
    ]


@pytest.mark.slow
def test_nobody_is_said_to_have_judged_who_has_not(tmp_path: Path) -> None:
    other = make(tmp_path / "silent", Made(gold=None, watched=(0.5, 0.5, 0.5, 0.5)))
    silent = [row | ({"watch/judgements": 0} if "watch/win_rate" in row else {}) for row in plain_rows(other)]
    other.metrics.write_text("".join(json.dumps(row) + "\n" for row in silent))
    run = data.read(other)
    assert evaluations.checks(run) == [] and evaluations.course(run) is None
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
    checks = evaluations.checks(data.read(other))
    assert [(c.update, c.kl, c.rate, c.count) for c in checks] == [
        (3, 1.5, 0.5, 12),
        (6, 3.0, 0.75, 10),
        (12, 6.0, 0.75, 4),
    ]


def test_the_course_by_hand() -> None:
    # neighbours averaged: truth 2, 3, 4, 3, 2; proxy 1.5, 2, 3, 4, 4.5
    found = evaluations.follow(
        "gold_reward", evaluations.Trend((0, 1, 2, 3, 4), [1, 3, 5, 4, 0], [0.1] * 5, (1, 2, 3, 4, 5))
    )
    assert (found.peak, found.high, found.now) == (2, 4.0, 2.0)
    assert (found.proxy_high, found.proxy_now, found.seen) == (3.0, 4.5, True)
    large = evaluations.follow(
        "gold_reward", evaluations.Trend((0, 1, 2, 3, 4), [1, 3, 5, 4, 0], [1.0] * 5, (1, 2, 3, 4, 5))
    )
    assert not large.seen  # two standard errors of the difference are 2.83
    fell = evaluations.follow(
        "gold_reward", evaluations.Trend((0, 1, 2, 3, 4), [1, 3, 5, 4, 0], [0.1] * 5, (5, 4, 3, 2, 1))
    )
    assert not fell.seen


@given(st.lists(st.floats(-10, 10), min_size=4, max_size=12), st.floats(0, 1))
def test_a_truth_that_never_falls_is_never_over_optimised(values: list[float], error: float) -> None:
    rising = sorted(values)
    found = evaluations.follow(
        "gold_reward", evaluations.Trend(range(len(rising)), rising, [error] * len(rising), rising)
    )
    assert not found.seen
