"""RewardModel: learns each kind of feedback for each kind of behaviour, and refuses what does not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plaudit
from plaudit import RewardModel
from plaudit.agents import PPOAgent
from plaudit.errors import PlauditError
from tests.api.conftest import pendulum_rows, write
from tests.text_world import World


def as_rankings(rows: list[dict]) -> list[dict]:
    """Segments of neighbouring comparisons, ranked by how upright they are."""
    found = []
    for one, other in zip(rows[::2], rows[1::2], strict=True):
        segments = [one["first"], one["second"], other["first"]]
        worth = [upright(segment) for segment in segments]
        found.append({"segments": segments, "ranks": [1 + sum(w > own for w in worth) for own in worth]})
    return found


def as_ratings(rows: list[dict]) -> list[dict]:
    return [{"segment": row["first"], "rating": upright(row["first"])} for row in rows]


def as_labels(rows: list[dict]) -> list[dict]:
    return [{"segment": row["first"], "label": upright(row["first"]) > 0} for row in rows]


def upright(segment: dict) -> float:
    return float(np.sum(np.array(segment["observations"])[:, 0]))


@pytest.mark.parametrize("form", [list, as_rankings, as_ratings, as_labels])
@pytest.mark.slow
def test_segments_teach_what_is_wanted(tmp_path: Path, form: Any) -> None:
    feedback = plaudit.load_feedback(write(tmp_path / "f.jsonl", form(pendulum_rows(80))))
    model = RewardModel.fit(feedback, env="Pendulum-v1")
    angle = np.linspace(0, np.pi, 9)
    states = np.stack([np.cos(angle), np.sin(angle), np.zeros(9)], axis=1)
    paid = model.rewards(states, np.zeros((9, 1)), states)
    assert np.corrcoef(paid, np.cos(angle))[0, 1] > 0.8
    assert model.metrics["reward/accuracy"] > 0.8
    again = RewardModel.fit(feedback, like=PPOAgent("Pendulum-v1", n_envs=2))
    assert torch.equal(model.model.head, again.model.head)  # the same seed, the same reward
    model.save(tmp_path / "reward")
    kept = RewardModel.load(tmp_path / "reward")
    assert kept.environment == "Pendulum-v1" and np.array_equal(
        kept.rewards(states, np.zeros((9, 1)), states), paid
    )


@pytest.mark.slow
def test_segments_of_different_lengths(tmp_path: Path) -> None:
    rows = pendulum_rows(40, steps=20) + pendulum_rows(20, steps=7, seed=1)
    model = RewardModel.fit(plaudit.load_feedback(write(tmp_path / "f.jsonl", rows)), env="Pendulum-v1")
    assert model.metrics["reward/accuracy"] > 0.75


WORTH = {" aaaa": 3.0, " aa": 2.0, " c": 0.0, " b": -1.0, " bbb": -2.0}


def texts(kind: str) -> list[dict]:
    names, rows = list(WORTH), []
    for i in range(60):
        prompt = f"say {'klmnopqr'[i % 8]}{'aeiou'[i % 5]}:"
        a, b, c = (names[(i * step + i // 5) % 5] for step in (1, 2, 3))
        if kind == "comparison" and WORTH[a] != WORTH[b]:
            better, worse = sorted((a, b), key=lambda name: -WORTH[name])
            rows.append({"prompt": prompt, "chosen": better, "rejected": worse})
        if kind == "ranking" and len({a, b, c}) > 1:
            ranks = [1 + sum(WORTH[x] > WORTH[own] for x in {a, b, c}) for own in (a, b, c)]
            rows.append({"prompt": prompt, "completions": [a, b, c], "ranks": ranks})
        if kind == "rating":
            rows.append({"prompt": prompt, "completion": a, "rating": WORTH[a]})
        if kind == "label":
            rows.append({"prompt": prompt, "completion": a, "label": WORTH[a] > 0})
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["comparison", "ranking", "rating", "label"])
def test_texts_teach_what_is_wanted(tmp_path: Path, spoken: World, kind: str) -> None:
    feedback = plaudit.load_feedback(write(tmp_path / "f.jsonl", texts(kind)))
    model = RewardModel.fit(feedback, like=str(spoken.lm))
    scores = model.scores(["say ka:"] * 5, list(WORTH))
    assert min(scores[:2]) > max(scores[3:])
    model.save(tmp_path / "reward")
    assert RewardModel.load(tmp_path / "reward").scores(["say ka:"] * 5, list(WORTH)) == pytest.approx(
        scores, abs=1e-4
    )


@pytest.mark.slow
def test_what_does_not_fit_is_refused(tmp_path: Path, compared: Path, spoken: World) -> None:
    control = plaudit.load_feedback(compared)
    text = plaudit.load_feedback(write(tmp_path / "t.jsonl", texts("rating")))
    cases: list[tuple[Any, str]] = [
        (lambda: RewardModel.fit(control, env="CartPole-v1"), r"^a reward for CartPole-v1: .*line 1: .* but 4 and 2 are wanted"),
        (lambda: RewardModel.fit(control, like=plaudit.ppo.PPO(spoken.lm)), "the policy is a language model"),
        (lambda: RewardModel.fit(text, env="CartPole-v1"), "this feedback is about texts"),
        (lambda: RewardModel.fit(text, like=3), "this feedback is about texts"),
        (lambda: RewardModel.fit(control), "give either like=POLICY or env=ENVIRONMENT"),
        (lambda: RewardModel.fit([1], env="CartPole-v1"), r"feedback\[0\]: a int; a row is a mapping"),
        (lambda: RewardModel.fit(control, env="Pendulum-v1").scores(["a"], ["b"]), "judges control, but text is wanted"),
        (lambda: RewardModel.fit(control, env="Pendulum-v1").rewards(np.zeros((2, 4)), np.zeros((2, 1)), np.zeros((2, 4))),
         "knows 3 numbers of observation"),
    ]  # fmt: skip
    for call, said in cases:
        with pytest.raises(PlauditError, match=said):
            call()


def test_feedback_that_says_nothing_is_refused(tmp_path: Path) -> None:
    segment = pendulum_rows(1)[0]["first"]
    same = [{"segment": segment, "rating": 3}] * 3
    tied = [{"segments": [segment, segment], "ranks": [1, 1]}] * 3
    for rows, said in ((same, "every rating is 3"), (tied, "all options of all rankings are tied")):
        with pytest.raises(PlauditError, match=said):
            RewardModel.fit(plaudit.load_feedback(write(tmp_path / "f.jsonl", rows)), env="Pendulum-v1")
