"""What is asked about behaviour whose episodes end by themselves."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from plaudit.environments.control.rollouts import Trajectories
from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.rewards.config import FeedbackConfig
from plaudit.rewards.control import SegmentReward, SegmentStore, Window, cut, from_bytes, to_bytes
from plaudit.rewards.control_questions import SegmentQuestions, windows
from plaudit.rewards.learned.loop import Wanted
from plaudit.rewards.learned.terms import Judgement
from plaudit.rewards.novelty import novelty
from plaudit.storage import Artifacts
from plaudit.storage.store import Response


def behaviour(
    rows: int, columns: int, ends: dict[int, list[int]], limits: dict[int, list[int]] | None = None
) -> Trajectories:
    """Rollouts whose episodes terminate, or run into a time limit, at these steps."""
    generator = torch.Generator().manual_seed(rows * columns)
    terminated, truncated = (torch.zeros(rows, columns, dtype=torch.bool) for _ in range(2))
    for flags, places in ((terminated, ends), (truncated, limits or {})):
        for row, steps in places.items():
            flags[row, steps] = True
    states, actions = torch.randn(rows, columns, 3, generator=generator), torch.zeros(rows, columns, 1)
    record = Transitions(
        states, actions, actions.clone(), states.roll(-1, 1), torch.ones(rows, columns), terminated.float()
    )
    last = terminated | truncated
    last[:, -1] = True
    return Trajectories(record, terminated, truncated, last, torch.ones_like(last))


def questions(tmp_path: Path, **feedback: Any) -> SegmentQuestions:
    model = RewardEnsemble(
        Spaces(3, 1, "continuous"), RewardConfig(hidden=(4,)), torch.Generator().manual_seed(0)
    )
    store = SegmentStore(Artifacts(tmp_path))
    config = FeedbackConfig(**{"segment": 5, "options": 3} | feedback)
    return SegmentQuestions(
        store, config, SegmentReward(model, store.segment), torch.Generator().manual_seed(1), 1.0
    )


def wanted(count: int) -> list[Wanted]:
    return [Wanted(f"0/0/{i}", "comparison", "train") for i in range(count)]


def test_windows_are_whole_ones_and_those_a_termination_cuts_short() -> None:
    walk = behaviour(1, 12, {0: [6]}, {0: [9]})
    # whole: within steps 0 to 6 alone; cut short: 1 to 4 steps up to step 6; what the time limit ends is none
    assert windows(walk, 5).tolist() == [
        [0, 0, 5], [0, 1, 5], [0, 2, 5], [0, 6, 1], [0, 5, 2], [0, 4, 3], [0, 3, 4]
    ]  # fmt: skip


def test_segments_find_their_own_length() -> None:
    """Episodes that end sooner are shown whole; what a time limit ends is cut to what half of the rows have."""
    early = windows(behaviour(2, 12, {0: [2, 6], 1: [3]}), 50)
    assert early.tolist() == [[0, 0, 3], [0, 3, 4], [1, 0, 4]]
    # the longest runs of the rows are 4, 6 and 3 steps, the middle one 4
    limited = windows(behaviour(3, 12, {}, {0: [3, 7], 1: [5], 2: [2, 5, 8]}), 50)
    assert limited.tolist() == [[0, 0, 4], [0, 4, 4], [0, 8, 4], *([1, t, 4] for t in (0, 1, 2, 6, 7, 8))]


def test_an_end_is_in_what_is_shown_and_read_back() -> None:
    walk = behaviour(1, 8, {0: [4]})
    for place, said in (((0, 2, 3), [0.0, 0.0, 1.0]), ((0, 0, 3), [0.0, 0.0, 0.0])):
        data = to_bytes(cut(walk.record, Window(*place)))
        assert from_bytes(data).ends.tolist() == [said]
        assert (b"ends" in data) == bool(sum(said))  # what does not end has the content hash it always had


def test_pairs_hold_ends_as_often_as_people_can_decide_them(tmp_path: Path) -> None:
    walk = behaviour(8, 60, {row: [20, 40] for row in range(8)})
    asked = questions(tmp_path)
    counts = torch.zeros(3)
    for pair in asked.choose(walk, wanted(400)):
        assert pair is not None
        counts[sum(bool(walk.terminated[one.row, one.start + one.length - 1]) for one in pair)] += 1
    assert (counts / 400).tolist() == pytest.approx([0.25, 0.5, 0.25], abs=0.07)
    asked.asked, asked.decided = [98, 98, 98], [0, 98, 98]  # whole segments are all alike here
    counts = torch.zeros(3)
    for pair in asked.choose(walk, wanted(400)):
        assert pair is not None
        counts[sum(bool(walk.terminated[one.row, one.start + one.length - 1]) for one in pair)] += 1
    assert counts[0] < 12


def test_where_pairs_are_hardly_ever_decided_few_are_asked(tmp_path: Path) -> None:
    asked = questions(tmp_path)
    asked.asked, asked.decided = [48, 10, 10], [4, 10, 10]  # (4 + 1) / (48 + 2) = .1 of whole segments
    found = list(asked.ask(behaviour(4, 30, {}), wanted(30), 0))
    assert len(found) == 3
    assert len(list(asked.ask(behaviour(4, 30, {0: [9]}), wanted(30), 0))) == 30


def test_what_was_answered_is_counted_by_its_ends(tmp_path: Path) -> None:
    walk = behaviour(4, 30, {0: [9], 1: [8], 2: [12]})
    asked = questions(tmp_path)
    found, counted = [], [[0, 0], [0, 0], [0, 0]]
    for i, query in enumerate(asked.ask(walk, wanted(40), 0)):
        choice = "equal" if i % 3 else "first"
        found.append(
            Response(
                i,
                i,
                f"u{i}",
                i,
                "ann",
                Comparison((query.items[0], query.items[1]), choice),
                (0, 1),
                None,
                None,
                0.0,
            )
        )
        sort = sum(bool(asked.store.segment(item).ends.any()) for item in query.items)
        counted[sort][0] += 1
        counted[sort][1] += choice == "first"
    asked.heard(found)
    assert asked.asked == [count for count, _ in counted] and asked.decided == [told for _, told in counted]
    assert min(asked.asked) > 0


def test_the_value_of_an_end_is_read_whatever_steps_are_drawn() -> None:
    """A segment's worth by hand, and by evenly drawn steps in the mean."""
    walk = behaviour(2, 12, {0: [6], 1: [8]})
    model = RewardEnsemble(
        Spaces(3, 1, "continuous"), RewardConfig(hidden=(4,)), torch.Generator().manual_seed(0)
    )
    model.end.data = torch.randn(model.end.shape, generator=torch.Generator().manual_seed(2))
    pieces = {"ends": cut(walk.record, Window(0, 1, 6)), "goes on": cut(walk.record, Window(1, 0, 8))}
    medium = SegmentReward(model, pieces.__getitem__, subsample=0.25)
    options = medium.tensors([Judgement("comparison", ("ends", "goes on"), (1.0,))])
    found = medium.returns(options).detach()
    for column, one in enumerate(pieces.values()):
        steps = model(model.features(one))[:, 0].sum(dim=1) + (
            model.ending(model.features(one)[0, -1:])[:, 0] if column == 0 else 0.0
        )
        torch.testing.assert_close(found[:, 0, column], steps)
    model.anchored.fill_(True)
    starts = set()
    for seed in range(40):
        steps = medium.subsample(options, torch.Generator().manual_seed(seed))
        assert len(steps) == 2 and (steps.diff() == 4).all()
        starts.add(int(steps[0]))
    assert starts == {0, 1, 2, 3}
    drawn = [medium.returns(options, torch.arange(start, 8, 4)).detach() for start in range(4)]
    torch.testing.assert_close(torch.stack(drawn).mean(dim=0), found)


def test_what_is_new_is_paid_while_nothing_differs(tmp_path: Path) -> None:
    walk = behaviour(2, 12, {0: [6]})
    paid = questions(tmp_path).exploring(walk)
    assert paid.taught and paid.dense is not None
    assert torch.equal(paid.dense, novelty(walk.record.successors, walk.mask))


def test_a_rollout_without_two_segments_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="segment"):
        questions(tmp_path).choose(behaviour(1, 1, {}), wanted(1))


def test_old_segments_without_ends_have_none() -> None:
    walk = behaviour(1, 4, {})
    record = Transitions(
        walk.record.observations,
        walk.record.actions,
        walk.record.executed,
        walk.record.successors,
        walk.record.environment_rewards,
    )
    assert record.ends.shape == record.environment_rewards.shape and not record.ends.any()
    assert replace(record, environment_rewards=torch.zeros(1, 4)).ends.shape == (1, 4)


def test_no_pair_is_asked_about_twice(tmp_path: Path) -> None:
    """Four windows that share no step: six pairs, however many are wanted."""
    found = questions(tmp_path, segment=3).choose(behaviour(4, 3, {}), wanted(30))
    assert sum(pair is not None for pair in found) == 6


def test_it_is_told_where_people_could_decide_little(tmp_path: Path) -> None:
    walk, asked = behaviour(4, 30, {0: [9], 1: [8], 2: [12]}), questions(tmp_path)
    queries = list(asked.ask(walk, wanted(40), 0))
    for share, told in ((3, True), (1, False)):
        said = [
            Response(
                i, i, f"u{i}", i, "ann", Comparison((query.items[0], query.items[1]), "equal" if i % share else "first"),
                (0, 1), None, None, 0.0,
            )
            for i, query in enumerate(queries)
        ]  # fmt: skip
        asked.heard(said)
        assert bool(asked.notes) == told
        if told:
            (note,) = asked.notes
            assert note.startswith("only 14 of 40 pairs could be decided (") and "where one does" in note
