"""Rewards of control: the environment's, somebody's function, and what is asked of segments."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plaudit.annotators.simulated import felt_returns
from plaudit.batches import Rewards
from plaudit.environments.control.make import Control, make
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.rollouts import Trajectories, per_decision
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.rewards.config import FeedbackConfig
from plaudit.rewards.control import (
    SegmentReward,
    SegmentStore,
    Window,
    cut,
    environment_reward,
    function_reward,
    scored_by,
    to_bytes,
)
from plaudit.rewards.control_questions import SegmentQuestions
from plaudit.rewards.learned.loop import Wanted
from plaudit.rewards.learned.terms import Judgement
from plaudit.storage import Artifacts


def behaviour(rows: int = 2, columns: int = 6) -> Trajectories:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(rows, columns, 3, generator=generator)
    actions = torch.randint(2, (rows, columns), generator=generator)
    record = Transitions(
        states, actions, torch.nn.functional.one_hot(actions, 2).float(), states.roll(-1, 1),
        torch.arange(rows * columns).reshape(rows, columns).float(),
    )  # fmt: skip
    mask = torch.ones(rows, columns, dtype=torch.bool)
    mask[0, -1] = False
    no, last = torch.zeros_like(mask), torch.zeros_like(mask)
    last[0, -2] = last[1:, -1] = True
    return Trajectories(record, no, no, last, mask)


def test_the_environments_own_reward_by_hand() -> None:
    found = environment_reward(behaviour())
    assert found.dense is not None
    assert found.dense.tolist() == [[0, 1, 2, 3, 4, 0], [6, 7, 8, 9, 10, 11]] and found.scores.tolist() == [
        10,
        51,
    ]


def test_a_score_of_a_row_counts_at_its_last_decision() -> None:
    walk = behaviour()
    placed = per_decision(Rewards(torch.tensor([3.0, -2.0])), walk.mask)
    assert placed.tolist() == [[0, 0, 0, 0, 3, 0], [0, 0, 0, 0, 0, -2]]
    dense = torch.full((2, 6), 7.0)
    assert per_decision(Rewards(torch.zeros(2), dense), walk.mask).tolist() == [[7] * 5 + [0], [7] * 6]


FUNCTIONS = """
def per_step(observations, actions, next_observations):
    return observations[..., 0] + 2 * actions[..., 1] - next_observations[..., 2]

def per_row(observations, actions, next_observations):
    return observations.sum(axis=(1, 2))

def shape(observations, actions, next_observations):
    return observations[0]

def infinite(observations, actions, next_observations):
    return observations[..., 0] * float("nan")

def broken(observations, actions, next_observations):
    raise KeyError("no\\n such thing")
"""


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    return tmp_path / "mine.py"


def test_a_function_of_steps_or_of_rows(functions: Path) -> None:
    walk = behaviour()
    r = walk.record
    found = function_reward(f"{functions}:per_step", "mine")(walk)
    assert found.dense is not None
    for b in range(2):
        for t in range(6):
            expected = float(r.observations[b, t, 0] + 2 * r.executed[b, t, 1] - r.successors[b, t, 2])
            assert float(found.dense[b, t]) == pytest.approx(expected if walk.mask[b, t] else 0.0, abs=1e-6)
    rows = function_reward(f"{functions}:per_row", "mine")(walk)
    assert rows.dense is None
    assert rows.scores.tolist() == pytest.approx([float(r.observations[b].sum()) for b in range(2)], abs=1e-5)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "shape",
            r"reward 'mine': it returned shape \[6, 3\]; return one number per step, \[2, 6\], or one per row, \[2\]",
        ),
        ("infinite", "reward 'mine': it returned a number that is not finite; mend the function"),
        ("broken", "reward 'mine': it raised KeyError: .*; the run can be resumed after mending it"),
        ("missing", "`missing` is missing"),
    ],
)
def test_a_function_that_cannot_pay_is_one_sentence(functions: Path, name: str, sentence: str) -> None:
    with pytest.raises(PlauditError, match=sentence) as caught:
        function_reward(f"{functions}:{name}", "mine")(behaviour())
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------ what it is worth


def asked_about(tmp_path: Path, place: str | None) -> tuple[SegmentStore, str, Transitions]:
    judge = None if place is None else scored_by(place, "feedback.judge")
    store = SegmentStore(Artifacts(tmp_path), judge=judge)
    segment = cut(behaviour().record, Window(1, 2, 3))
    return store, store.artifacts.put(to_bytes(segment)), segment


def test_simulated_people_judge_by_the_environment_or_by_somebodys_function(
    tmp_path: Path, functions: Path
) -> None:
    store, item, _ = asked_about(tmp_path, None)
    assert store.gold_rewards(item).tolist() == [8, 9, 10]
    store, item, segment = asked_about(tmp_path, f"{functions}:per_step")
    for t, found in enumerate(store.gold_rewards(item).tolist()):
        o, a, n = segment.observations[0, t], segment.executed[0, t], segment.successors[0, t]
        assert found == pytest.approx(float(o[0] + 2 * a[1] - n[2]), abs=1e-6)


def test_a_judge_of_whole_segments_is_heard_as_they_end(tmp_path: Path, functions: Path) -> None:
    store, item, segment = asked_about(tmp_path, f"{functions}:per_row")
    total = sum(float(x) for x in segment.observations.flatten())
    assert store.gold_rewards(item).tolist() == pytest.approx([0, 0, total], abs=1e-5)
    # so that nothing of it is forgotten by a person who weighs what came last the most
    assert felt_returns(store.gold_rewards(item)[None], 0.5).tolist() == pytest.approx([total], abs=1e-5)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "shape",
            r"feedback.judge: it returned shape \[3, 3\]; return one number per step, \[1, 3\], or one per row",
        ),
        ("infinite", "feedback.judge: it returned a number that is not finite; mend the function"),
        ("broken", "feedback.judge: it raised KeyError: .*; the run can be resumed after mending it"),
        ("missing", "`missing` is missing"),
    ],
)
def test_a_judge_that_cannot_judge_is_one_sentence(
    tmp_path: Path, functions: Path, name: str, sentence: str
) -> None:
    with pytest.raises(PlauditError, match=sentence) as caught:
        store, item, _ = asked_about(tmp_path, f"{functions}:{name}")
        store.gold_rewards(item)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------ what people see


def test_clips_of_one_question_run_at_one_speed_and_say_where_the_episode_ends(tmp_path: Path) -> None:
    pytest.importorskip("pygame")
    source = make(Control("Pendulum-v1", 1, kwargs={"max_episode_steps": 70}))
    source.reset(0)
    source.recorder.begin_rollout()
    for _ in range(70):
        source.step(np.zeros((1, 1), np.float32))

    def replay(place: Window) -> Replay:
        return source.recorder.replay(place.row, place.start, place.start + place.length - 1)

    store = SegmentStore(Artifacts(tmp_path), replay, drawn=True)
    record, places = behaviour(1, 70).record, [Window(0, 0, 70), Window(0, 10, 9), Window(0, 61, 9)]
    asked = store.question(Wanted("q", "ranking", "train"), 0, record, places, {"question": "Which?"})
    whole, part, final = asked.payload["clips"]
    # 71 pictures are too many: every second one of 0 to 69, and the last; the same of 10 pictures
    assert [clip["frames"] for clip in (whole, part, final)] == [36, 6, 6]
    assert [clip["fps"] for clip in (whole, part, final)] == [15.0] * 3
    assert (whole["end"], part["end"]) == ({"how": "time_limit", "frame": 35}, None)
    assert final["end"] == {"how": "time_limit", "frame": 5}
    assert asked.payload["question"] == "Which?"


# ------------------------------------------------------------------------------------------------ what is asked


def questions(tmp_path: Path, **feedback: Any) -> SegmentQuestions:
    model = RewardEnsemble(
        Spaces(3, 2, "discrete"), RewardConfig(hidden=(4,)), torch.Generator().manual_seed(0)
    )
    store = SegmentStore(Artifacts(tmp_path))
    config = FeedbackConfig(**{"segment": 2, "options": 3} | feedback)
    return SegmentQuestions(
        store, config, SegmentReward(model, store.segment), torch.Generator().manual_seed(1), 1.0
    )


def wanted(kinds: str) -> list[Wanted]:
    names = {"c": "comparison", "r": "ranking", "m": "rating", "b": "binary"}
    return [Wanted(f"0/0/{i}", names[letter], "train") for i, letter in enumerate(kinds)]


def test_every_kind_of_question_has_its_segments(tmp_path: Path) -> None:
    walk, asked = behaviour(3, 9), wanted("crmbccbmrr")
    found = list(questions(tmp_path, question="Which is calmer?").ask(walk, asked, 4))
    assert [query.kind for query in found] == [one.kind for one in asked]
    for query, one in zip(found, asked, strict=True):
        count = {"comparison": 2, "ranking": 3, "rating": 1, "binary": 1}[query.kind]
        assert len(query.items) == len(set(query.items)) == count
        assert query.key == one.key and query.tick == 4 and query.payload["question"] == "Which is calmer?"
        assert ("scale" in query.payload) == (query.kind == "rating")


def test_segments_of_one_question_share_no_step_and_lie_inside_an_episode(tmp_path: Path) -> None:
    walk = behaviour(2, 9)
    for _ in range(30):
        for windows in questions(tmp_path).choose(walk, wanted("rrc")):
            steps = [(one.row, t) for one in windows for t in range(one.start, one.start + one.length)]
            assert len(steps) == len(set(steps)) and all(bool(walk.mask[place]) for place in steps)


def test_too_many_options_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="feedback.options: this rollout holds no 7 segments of 2 steps"):
        questions(tmp_path, options=7).choose(behaviour(2, 6), wanted("r"))


def test_options_of_unequal_number_and_length_become_one_tensor() -> None:
    """What a row has not, and what is shorter, is masked out and worth nothing."""
    walk = behaviour(2, 6)
    pieces = {
        name: cut(walk.record, Window(row, 0, length))
        for name, row, length in (("a", 0, 2), ("b", 1, 4), ("c", 0, 3))
    }  # fmt: skip
    model = RewardEnsemble(
        Spaces(3, 2, "discrete"), RewardConfig(hidden=(4,), members=2), torch.Generator().manual_seed(0)
    )
    medium = SegmentReward(model, pieces.__getitem__)
    options = medium.tensors([
        Judgement("ranking", ("a", "b", "c"), (1.0, 2.0, 3.0)), Judgement("ranking", ("c", "a"), (1.0, 2.0))
    ])  # fmt: skip
    assert options.features.shape == (2, 3, 4, 5)
    assert options.mask.sum(dim=2).tolist() == [[2, 4, 3], [3, 2, 0]]
    found = medium.returns(options)
    for member in range(2):
        for row, names in enumerate((("a", "b", "c"), ("c", "a"))):
            for column, name in enumerate(names):
                with torch.no_grad():
                    expected = float(model(model.features(pieces[name]))[member].sum())
                assert float(found[member, row, column].detach()) == pytest.approx(expected, abs=1e-5)
        assert float(found[member, 1, 2].detach()) == 0
