"""Asking and learning in a loop: how many are asked when, and that asking again changes nothing."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.rewards.config import FeedbackConfig
from plaudit.rewards.control import Window, cut, from_bytes, stack, to_bytes
from plaudit.rewards.control_questions import SegmentQuestions
from plaudit.rewards.learned import loop
from plaudit.rewards.learned.loop import Round, Wanted, schedule
from plaudit.rewards.weighted import Scaled
from plaudit.runs import saved
from plaudit.runs.config import from_mapping
from plaudit.runs.folder import RunFolder
from plaudit.stages import optimise
from plaudit.stages.adapters.control import ControlTask
from plaudit.storage import open_store
from plaudit.storage.store import NewResponse


@given(st.integers(0, 3000), st.integers(1, 300), st.integers(0, 40), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_exactly_so_many_are_asked(labels: int, first: int, rounds: int, until: float) -> None:
    plan = schedule(FeedbackConfig(labels=labels, first=first, rounds=rounds, until=until))
    assert sum(one.questions for one in plan) == labels
    assert all(one.questions > 0 for one in plan)
    times = [one.progress for one in plan]
    assert times == sorted(times) and all(0 <= time <= until + 1e-9 for time in times)
    if labels:
        assert plan[0].progress == 0
    counts = [one.questions for one in plan[1:]]
    assert all(
        one >= other - 1 for one, other in zip(counts, counts[1:], strict=False)
    )  # ever fewer, but for rounding


def test_a_schedule_by_hand() -> None:
    # 10 first, then 12 in proportion 3 : 2 : 1
    plan = schedule(FeedbackConfig(labels=22, first=10, rounds=3, until=0.6))
    assert [one.questions for one in plan] == [10, 6, 4, 2]
    assert [one.progress for one in plan] == pytest.approx([0, 0.2, 0.4, 0.6])
    assert schedule(FeedbackConfig(labels=0)) == []
    assert schedule(FeedbackConfig(labels=5, first=50)) == [Round(0.0, 5)]
    assert sum(one.questions for one in schedule(FeedbackConfig(labels=9, first=4, rounds=0))) == 9


def config(**feedback: Any) -> Any:
    return from_mapping(
        {
            "environment": {"id": "Pendulum-v1", "envs": 4, "n_steps": 60},
            "timesteps": 1200,
            "trainer": {"epochs": 1, "minibatch_size": 240},
            "policy": {"hidden": [4]},
            "reward": {
                "weights": {"learned": 1},
                "normalise": True,
                "model": {"hidden": [4]},
                "fit": {"first_steps": 4, "steps": 2},
            },
            "feedback": {"labels": 20, "first": 8, "rounds": 3, "segment": 20} | feedback,
            "evaluate_count": 1,
        },
        "here",
    )


def quiet(row: dict[str, Any]) -> None:
    pass


def test_what_is_asked_and_answered(tmp_path: Path) -> None:
    folder = optimise.start(config(), tmp_path / "r", quiet)
    store = open_store(folder.feedback)
    queries, answers = store.queries(), store.view(2**60)
    assert len(queries) == len(answers) == 20 and store.pending() == 0
    assert len({query.key for query in queries}) == 20
    assert [sum(query.tick == tick for query in queries) for tick in range(5)] == [8, 6, 4, 2, 0]
    assert all(query.items[0] != query.items[1] for query in queries)
    assert [row["feedback/labels"] for row in folder.rows()] == [8, 14, 18, 20, 20]
    store.close()


def test_a_reward_that_nobody_has_taught_is_not_optimised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plaudit.annotators.client.judge", lambda *_: ["skip"])
    with pytest.raises(PlauditError, match="no answer says which of two options is better"):
        optimise.start(config(), tmp_path / "r", quiet)


@pytest.mark.parametrize(("until", "steps"), [(0.99, 1200), (0.5, 300), (0.9, 1230), (0.9, 240)])
@pytest.mark.slow
def test_all_that_was_promised_is_asked(tmp_path: Path, until: float, steps: int) -> None:
    """Also where the last round would be due only after the last update began."""
    folder = optimise.start(replace(config(until=until), timesteps=steps), tmp_path / "r", quiet)
    store = open_store(folder.feedback)
    assert len(store.view(2**60)) == 20
    store.close()


@pytest.mark.slow
def test_a_round_without_segments_waits_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later behaviour may hold no two segments; that ends no run."""
    choose, calls = SegmentQuestions.choose, iter(range(100))

    def sometimes(self: SegmentQuestions, behaviour: Any, wanted: Any) -> Any:
        if next(calls) in (1, 2):
            raise PlauditError("segment: no 20 consecutive steps")
        return choose(self, behaviour, wanted)

    monkeypatch.setattr(SegmentQuestions, "choose", sometimes)
    folder = optimise.start(config(until=0.5), tmp_path / "r", quiet)
    # rounds of 6, 4 and 2 were due at 1/6, 1/3 and 1/2 of the steps: at updates 1, 2 and 3, of 5
    assert [row["feedback/labels"] for row in folder.rows()] == [8, 8, 8, 20, 20]
    # segments that are longer than a rollout are as long as one
    longer = optimise.start(config(segment=61), tmp_path / "s", quiet)
    assert list(longer.rows())[-1]["feedback/labels"] == 20


def test_a_round_that_finds_too_little_owes_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next round asks for it as well; what is owed at the end is said."""
    ask, most = SegmentQuestions.ask, iter([8, 4, 5, 1])
    monkeypatch.setattr(SegmentQuestions, "ask", lambda self, *given: list(ask(self, *given))[: next(most)])
    folder = optimise.start(config(until=0.5), tmp_path / "r", quiet)
    assert [row["feedback/labels"] for row in folder.rows()] == [
        8,
        12,
        17,
        18,
        18,
    ]  # of 8, 6, 4 + 2 and 2 + 1
    (note,) = folder.read_manifest()["notes"]
    assert note.startswith("2 of the 20 questions were never asked")


def test_answers_that_are_gone_are_missed(tmp_path: Path) -> None:
    folder = optimise.start(config(), tmp_path / "r", quiet)
    folder.write_manifest({"status": "running"})
    for file in folder.path.glob("feedback.db*"):
        file.unlink()
    with pytest.raises(PlauditError, match=r"feedback.db holds 0 answers but this run has learned from 20"):
        optimise.resume(folder.path, quiet)


def test_a_reward_that_changes_has_a_scale_of_its_own(tmp_path: Path) -> None:
    """What was seen of the reward before says nothing about the new one; without a refit the scale goes on."""
    run = ControlTask(config(until=0.15), RunFolder.create(tmp_path / "r", {}, "optimise", 0))
    scaled = run.learner.rewards
    assert isinstance(scaled, Scaled) and run.feedback is not None
    seen = []
    for _ in range(4):
        run.learner.step()
        seen.append((run.feedback.fits, scaled.moments.count.item()))
        # standardised over the newest behaviour alone
        assert run.feedback.trainer.medium.model.outputs.count == 240
    run.close()
    assert seen == [(1, 240), (2, 240), (2, 480), (2, 720)]


def test_notes_survive_a_resume(tmp_path: Path) -> None:
    one, other = (
        ControlTask(config(), RunFolder.create(tmp_path / name, {}, "optimise", 0)) for name in "ab"
    )
    one.notes.add("remember me")
    other.load_state_dict(one.state_dict())
    assert other.notes == {"remember me"}
    one.close(), other.close()


def test_asking_again_changes_nothing(tmp_path: Path) -> None:
    run = ControlTask(config(), folder(tmp_path))
    assert run.feedback is not None
    behaviour = run.rollouts.collect(run.policy)
    questions, store = run.feedback.questions, run.feedback.session.store
    wanted, state = [Wanted(f"0/0/{i}", "comparison", "train") for i in range(8)], questions.state_dict()
    store.enqueue(list(questions.ask(behaviour, wanted, 0)))
    before = store.queries()
    questions.load_state_dict(state)
    store.enqueue(list(questions.ask(behaviour, wanted, 0)))
    assert store.queries() == before and len(before) == 8
    run.close()


def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", {"x": 1}, "optimise", 0)


@pytest.mark.slow
def test_real_answers_are_waited_for_and_learned_from(tmp_path: Path) -> None:
    """Nobody is simulated: whoever answers does so in the store, and the next update has learned it."""
    run = ControlTask(config(people=[], ahead=100), folder(tmp_path))
    assert run.feedback is not None
    store = run.feedback.session.store
    asked: list[Any] = []

    def answer() -> None:
        query = store.claim("somebody", 60.0)
        assert query is not None
        asked.append(query)
        said = Comparison((query.items[0], query.items[1]), "first")
        store.submit(NewResponse(f"uuid-{query.id}", query.id, "somebody", said, query.shown_order))

    obey = run.feedback.session.commands.obey

    def obey_and_answer() -> None:
        obey()
        if not asked:
            answer()

    run.feedback.session.commands.obey = obey_and_answer  # type: ignore[method-assign]
    row = run.learner.step()
    assert row["feedback/labels"] == 1 and run.feedback.fits == 1 and len(asked) == 1
    fitted = run.feedback.trainer.medium.model.head.detach().clone()
    row = run.learner.step()
    assert row["feedback/labels"] == 1 and run.feedback.fits == 1
    assert torch.equal(run.feedback.trainer.medium.model.head, fitted)
    answer()
    row = run.learner.step()
    assert row["feedback/labels"] == 2 and run.feedback.fits == 2 and "reward/held_out_accuracy" in row
    assert not torch.equal(run.feedback.trainer.medium.model.head, fitted)
    run.close()


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [0, 3, 8])
def test_the_loop_does_not_run_away_from_people(
    tmp_path: Path, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on as soon as no more questions wait than it may be ahead of real people, and not before.

    The last update waits for all of them, and learns from all answers.
    """
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.0)
    run = ControlTask(config(people=[], ahead=ahead), folder(tmp_path))
    assert run.feedback is not None
    store, obey = run.feedback.session.store, run.feedback.session.commands.obey

    def obey_and_answer() -> None:
        obey()
        query = store.claim("somebody", 60.0)
        assert query is not None
        said = Comparison((query.items[0], query.items[1]), "first")
        store.submit(NewResponse(f"uuid-{query.id}", query.id, "somebody", said, query.shown_order))

    run.feedback.session.commands.obey = obey_and_answer  # type: ignore[method-assign]
    learned = []
    while not run.learner.done:
        row = run.learner.step()
        assert row["feedback/alone"] == 0.0
        learned.append(row["feedback/labels"])
        assert store.pending() <= ahead
    assert len(store.queries()) == len(store.answers()) == 20
    assert learned[-1] == 20 and (ahead == 0 or learned[-2] == 20 - ahead)
    run.close()


@pytest.mark.slow
def test_the_last_update_waits_only_while_somebody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions that nobody answers any more do not keep a run from its end, even where its patience has none."""
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(loop, "PATIENCE_AT_THE_END", 0.2)
    run = ControlTask(config(people=[], ahead=5), folder(tmp_path))
    assert run.feedback is not None
    store, obey = run.feedback.session.store, run.feedback.session.commands.obey

    def obey_and_answer() -> None:
        obey()
        query = store.claim("somebody", 60.0) if len(store.answers()) < 17 else None
        if query is not None:
            said = Comparison((query.items[0], query.items[1]), "first")
            store.submit(NewResponse(f"uuid-{query.id}", query.id, "somebody", said, query.shown_order))

    run.feedback.session.commands.obey = obey_and_answer  # type: ignore[method-assign]
    while not run.learner.done:
        row = run.learner.step()
    assert store.pending() == 3 and row["feedback/labels"] == 17
    run.close()


@pytest.mark.slow
def test_people_who_leave_are_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody answers once and goes: after its patience the loop learns on from that, and says what is open."""
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.001)
    run = ControlTask(config(people=[], ahead=0, patience=0.05), folder(tmp_path))
    assert run.feedback is not None
    store, obey = run.feedback.session.store, run.feedback.session.commands.obey

    def obey_and_answer_once() -> None:
        obey()
        if not store.answers():
            query = store.claim("somebody", 60.0)
            assert query is not None
            said = Comparison((query.items[0], query.items[1]), "first")
            store.submit(NewResponse("uuid", query.id, "somebody", said, query.shown_order))

    run.feedback.session.commands.obey = obey_and_answer_once  # type: ignore[method-assign]
    alone = []
    while not run.learner.done:
        alone.append(run.learner.step()["feedback/alone"])
    assert store.pending() == 19 and run.feedback.fits == 1
    assert set(alone) == {1.0}  # which the pages tell whoever comes back
    run.close()


@pytest.mark.slow
def test_somebody_who_answers_all_there_is_counts_as_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the loop learns they have nothing to answer, and new questions hide that the old ones were answered."""
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.001)
    patience = 0.2
    run = ControlTask(config(people=[], ahead=0, patience=patience), folder(tmp_path))
    assert run.feedback is not None
    store, learn = run.feedback.session.store, run.feedback._learn
    rested: list[int] = []

    def answer_all() -> None:
        rested.append(store.pending())
        while query := store.claim("somebody", 60.0):
            said = Comparison((query.items[0], query.items[1]), "first")
            store.submit(NewResponse(f"uuid-{query.id}", query.id, "somebody", said, query.shown_order))

    def learn_slowly(*given: Any) -> Any:
        time.sleep(1.5 * patience)
        return learn(*given)

    run.feedback.session.commands.obey = answer_all  # type: ignore[method-assign]
    run.feedback._learn = learn_slowly  # type: ignore[method-assign]
    while not run.learner.done:
        run.learner.step()
    assert store.pending() == 0 and sum(rested) == 20  # it has waited at every round
    run.close()


@pytest.mark.slow
def test_people_who_only_skip_teach_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once nothing waits any more there is nothing to wait for: the run ends with what to do."""
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.0)
    run = ControlTask(config(people=[]), folder(tmp_path))
    assert run.feedback is not None
    store, obey = run.feedback.session.store, run.feedback.session.commands.obey

    def obey_and_skip() -> None:
        obey()
        query = store.claim("somebody", 60.0)
        assert query is not None
        said = Comparison((query.items[0], query.items[1]), "skip")
        store.submit(NewResponse(f"uuid-{query.id}", query.id, "somebody", said, query.shown_order))

    run.feedback.session.commands.obey = obey_and_skip  # type: ignore[method-assign]
    with pytest.raises(PlauditError, match="ask for more"):
        while not run.learner.done:
            run.learner.step()
    assert run.learner.updates > 1  # they could have changed their mind until the end
    run.close()


def test_segments_there_and_back(tmp_path: Path) -> None:
    run = ControlTask(config(), folder(tmp_path))
    walk = run.rollouts.collect(run.policy)
    run.close()
    pieces = [
        cut(walk.record, Window(row, start, length))
        for row, start, length in ((0, 0, 5), (3, 50, 10), (1, 7, 2))
    ]
    assert torch.equal(pieces[1].observations[0], walk.record.observations[3, 50:60])
    assert all(to_bytes(piece) == to_bytes(from_bytes(to_bytes(piece))) for piece in pieces)
    side_by_side, mask = stack(pieces)
    assert mask.sum(dim=1).tolist() == [5, 10, 2] and side_by_side.observations.shape == (3, 10, 3)
    for row, piece in enumerate(pieces):
        for name in ("observations", "actions", "executed", "successors", "environment_rewards"):
            padded, whole = getattr(side_by_side, name)[row], getattr(piece, name)[0]
            assert torch.equal(padded[: len(whole)], whole) and not padded[len(whole) :].any()


@pytest.mark.slow
def test_a_model_to_start_from_keeps_its_scaling(tmp_path: Path) -> None:
    first = optimise.start(config(), tmp_path / "first", quiet)
    model = saved.load_reward(first.path / "reward")
    mapping = config()
    started = replace(mapping, reward=replace(mapping.reward, start=str(first.path / "reward")), seed=9)
    second = optimise.start(started, tmp_path / "second", quiet)
    later = saved.load_reward(second.path / "reward")
    assert torch.equal(later.scaling.mean, model.scaling.mean) and torch.equal(
        later.scaling.square, model.scaling.square
    )
    assert not torch.equal(later.head, model.head)
