"""What the report computes, against loops and examples by hand."""

import re
from math import sqrt
from pathlib import Path
from string import Formatter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plaudit.environments.control.rollouts import Trajectories
from plaudit.feedback import Comparison
from plaudit.maths.intervals import wilson
from plaudit.models.transitions import Transitions
from plaudit.report import answers, chinese, english, evidence, figures, forecasts, seeds, words
from plaudit.report.control import behaviour, headline
from plaudit.report.language import chinese as of_language_zh
from plaudit.report.language import english as of_language
from plaudit.runs.folder import RunFolder
from plaudit.runs.statistics import mean_interval
from plaudit.storage import open_store
from plaudit.storage.store import NewQuery, NewResponse


def test_both_languages_say_the_same_things() -> None:
    mine, other = words.LANGUAGES["en"], words.LANGUAGES["zh"]
    assert mine.keys() == other.keys()
    for name, text in mine.items():
        asked, given_ = (
            {field for _, field, _, _ in Formatter().parse(t) if field} for t in (text, other[name])
        )
        assert asked == given_, name
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in text)


def test_no_text_hides_another() -> None:
    for one, other in ((english.ENGLISH, of_language.ENGLISH), (chinese.CHINESE, of_language_zh.CHINESE)):
        assert not one.keys() & other.keys()


def test_every_text_is_used() -> None:
    folder = Path(words.__file__).parent
    code = "".join(
        path.read_text() for path in folder.rglob("*.py") if path.stem not in ("english", "chinese")
    )
    built = {  # names put together in the code
        *(
            f"{a}_{b}"
            for a in ("wins", "scored", "joint", "verdict")
            for b in ("better", "worse", "unclear", "unknown", "few")
        ),
        *(f"over_{a}_{b}" for a in ("hidden", "people") for b in ("seen", "unseen")),
        *(f"status_{name}" for name in ("running", "stopped", "failed")),
        *("joint_control", "joint_language", "drift_capped", "drift_repetition"),
    }
    unused = [
        name
        for name in words.LANGUAGES["en"]
        if not re.search(rf"[\"']{name}[\"']", code) and name not in built
    ]
    assert not unused


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.4, "1,234"), (-150.9, "−151"), (12.34, "12.3"), (0.126, "0.13"), (-0.001, "0.00"), (float("nan"), "–")],
)  # fmt: skip
def test_numbers_are_short(value: float, text: str) -> None:
    assert words.number(value) == text


def test_percents_do_not_hide_the_rare() -> None:
    assert [words.percent(share) for share in (0, 0.004, 0.126, 0.996, 1)] == [
        "0%",
        "0.4%",
        "13%",
        "99.6%",
        "100%",
    ]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.integers(1, 9))
def test_smoothing_is_a_mean_over_neighbours(values: list[float], width: int) -> None:
    slow = []
    for i in range(len(values)):
        near = [values[j] for j in range(i - width // 2, i + (width + 1) // 2) if 0 <= j < len(values)]
        slow.append(sum(near) / len(near))
    assert evidence.smoothed(np.array(values), width) == pytest.approx(slow, abs=1e-9)


ROWS = (
    {"decisions": 10, "rollout/ep_rew_mean": 1.0, "feedback/labels": 5},
    {"decisions": 20, "feedback/labels": 5},
    {"decisions": 30, "rollout/ep_rew_mean": 3.0, "feedback/labels": 5},
    {"decisions": 40, "rollout/ep_rew_mean": 5.0, "feedback/labels": 9},
    {"decisions": 50, "rollout/ep_rew_mean": float("nan"), "feedback/labels": 9},
    {"decisions": 60, "rollout/ep_rew_mean": 8.0, "feedback/labels": 9},
)


def test_series_and_rounds_by_hand() -> None:
    steps, values = evidence.series(ROWS, "rollout/ep_rew_mean")
    assert (steps.tolist(), values.tolist()) == ([10, 30, 40, 60], [1, 3, 5, 8])
    assert evidence.rounds(ROWS).tolist() == [10, 40]
    assert [x.tolist() for x in evidence.return_by_labels(ROWS)] == [[0, 5, 9], [1, 4, 8]]
    assert [len(x) for x in evidence.series((), "x")] == [0, 0]


def made_forecasts(rounds: list[int]) -> tuple[forecasts.Forecasts, list[tuple[float, float, int]]]:
    """Rounds of forecasts as metrics rows would hold them, with some equal answers among them."""
    generator, total, cases, rows = np.random.default_rng(3), 10, [], []
    for n in rounds:
        total += n + 1
        p, y = generator.random(n).tolist(), generator.integers(0, 2, n).astype(float).tolist()
        fresh = {"reward/fresh_probabilities": [*p, 0.9], "reward/fresh_answers": [*y, 0.5]}
        rows += [{"feedback/labels": total, **fresh}, {"feedback/labels": total}]
        cases += [(a, b, total) for a, b in zip(p, y, strict=True)]
    return forecasts.read(tuple(rows)), cases


def test_forecasts_are_pooled_without_equal_answers() -> None:
    found, cases = made_forecasts([12, 9, 5, 30, 3])
    assert list(zip(found.probabilities, found.outcomes, found.labels, strict=True)) == cases
    right = [(p > 0.5) == (y == 1) for p, y, _ in cases]
    groups = forecasts.accuracy(found)
    assert [group.n for group in groups] == [21, 38]  # 12 + 9, then 5 + 30, and the rest of 3 joins
    assert groups[0].share == pytest.approx(sum(right[:21]) / 21)
    assert (groups[1].low, groups[1].high) == wilson(sum(right[21:]), 38)
    assert groups[0].at == pytest.approx(np.mean([labels for _, _, labels in cases[:21]]))
    assert [group.n for group in forecasts.accuracy(made_forecasts([4, 3])[0])] == [7]
    assert forecasts.accuracy(forecasts.read(())) == []


def test_reliability_counts_every_answer_once() -> None:
    found, cases = made_forecasts([40, 40])
    bins = forecasts.reliability(found)
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
    fair = forecasts.calibration(forecasts.Forecasts(p, y, labels), generator)
    bold = forecasts.calibration(forecasts.Forecasts(sharp, y, labels), generator)
    assert fair.slope_low < 1 < fair.slope_high
    assert bold.slope_low < 1 / 3 < bold.slope_high < 1
    assert fair.brier < bold.brier
    assert fair.base_brier == pytest.approx(y.mean() * (1 - y.mean()))


def test_change_is_welch() -> None:
    """Means 10 and 14, sample deviations 2 and 4 over 4 and 9 episodes: worked by hand."""
    before = behaviour.Returns(10.0, 2 * sqrt(3 / 4), 4)
    after = behaviour.Returns(14.0, 4 * sqrt(8 / 9), 9)
    found = headline.change(before, after)
    assert found is not None
    error2 = 4 / 4 + 16 / 9
    freedom = error2**2 / (1**2 / 3 + (16 / 9) ** 2 / 8)  # 10.6, taken as 10: t = 2.228
    assert int(freedom) == 10
    assert (found.gain, found.low, found.high) == pytest.approx(
        (4, 4 - 2.2281 * sqrt(error2), 4 + 2.2281 * sqrt(error2)), abs=1e-3
    )
    assert found.verdict == "better"
    assert headline.change(before, behaviour.Returns(10.5, 2.0, 5)).verdict == "unclear"  # pyright: ignore
    assert headline.change(after, behaviour.Returns(-9.0, 0.0, 5)).verdict == "worse"  # pyright: ignore
    assert headline.change(before, behaviour.Returns(1.0, 0.0, 1)) is None
    exact = headline.change(behaviour.Returns(1.0, 0.0, 5), behaviour.Returns(2.0, 0.0, 5))
    assert exact == headline.Change(1.0, 1.0, 1.0)


def a_walk() -> Trajectories:
    """Two rows of ten steps; the first has an episode that ends at step 3, the second is one piece with a gap."""
    rewards = torch.arange(20.0).reshape(2, 10)
    zeros = torch.zeros(2, 10, 1)
    ended, mask = torch.zeros(2, 10, dtype=torch.bool), torch.ones(2, 10, dtype=torch.bool)
    ended[0, 3] = True
    mask[1, 9] = False
    last = ended.clone()
    last[0, 9] = last[1, 8] = True
    return Trajectories(Transitions(zeros, zeros, zeros, zeros, rewards), ended, ended, last, mask)


def test_pieces_share_no_step_and_cross_no_end() -> None:
    walk = a_walk()
    assert behaviour._segments(walk, 3) == [(0, 0, 3), (0, 4, 7), (0, 7, 10), (1, 0, 3), (1, 3, 6), (1, 6, 9)]
    assert behaviour._segments(walk, 4) == [(0, 0, 4), (0, 4, 8), (1, 0, 4), (1, 4, 8)]
    assert behaviour._episodes(walk) == [(0, 0, 4)]


def test_pieces_are_summed_by_both_rewards() -> None:
    walk = a_walk()
    model = SimpleNamespace(reward=lambda record: -2 * record.environment_rewards)
    found = behaviour._pieces(walk, model, [(0, 0, 3), (1, 6, 10)])  # pyright: ignore
    assert found.true.tolist() == [0 + 1 + 2, 16 + 17 + 18]  # the last step is no decision
    assert found.learned.tolist() == [-6, -102]


def test_sides_and_answers_by_hand(tmp_path: Path) -> None:
    a, b = "a" * 64, "b" * 64
    folder = RunFolder(tmp_path)
    store = open_store(folder.feedback)
    ids = store.enqueue([NewQuery(str(i), "comparison", (a, b), 1, {}) for i in range(4)])
    for i, (order, answer) in enumerate(
        [((0, 1), "first"), ((1, 0), "first"), ((1, 0), "second"), ((), "skip")]
    ):
        said = Comparison((a, b), answer)  # pyright: ignore
        store.submit(NewResponse(f"u{i}", ids[i], "ann" if i else "bob", said, order))
    store.close()
    people = answers.read(folder)
    assert people["bob"] == answers.Said({"first": 1}, left=1, sided=1)
    assert people["ann"] == answers.Said({"first": 1, "second": 1, "skip": 1}, left=1, sided=2)
    assert answers.together(people) == answers.Said({"first": 2, "second": 1, "skip": 1}, left=2, sided=3)
    assert answers.read(RunFolder(tmp_path / "nowhere")) == {}


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


def test_a_chart_is_the_same_every_time_and_names_its_colours() -> None:
    x = np.array([1.0, 2.0, 3.0])
    line = figures.Curve(x, x, figures.BLUE, "真实", "-o", low=x - 1, high=x + 1)
    labels = figures.Labels("步数", "a < b", 'says "this" & <that>')
    first, second = (figures.curves([line], labels, (x, "asked")) for _ in range(2))
    assert first == second
    assert first.legend == (("blue", "真实"), ("orange", "asked"))
    assert "var(--blue)" in first.svg
    assert not re.search(r"#[0-9a-f]{6}\b", first.svg)
    assert 'aria-label="says &quot;this&quot; &amp; &lt;that>"' in first.svg
    assert "http" not in first.svg
    other = figures.curves([figures.Curve(x, -x, figures.GREEN)], labels)
    ids = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (first.svg, other.svg)]
    assert ids[0] and ids[1] and not ids[0] & ids[1]
