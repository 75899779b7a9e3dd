"""Asking and learning in a loop: how many are asked when, and that asking again changes nothing."""

import math
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.batches import Comparisons
from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.likelihoods import bradley_terry
from plaudit.pipeline.control.config import FeedbackSettings, from_mapping
from plaudit.rewards.control import ControlTeaching
from plaudit.rewards.learned import loop as preferences
from plaudit.rewards.learned.loop import schedule
from plaudit.rewards.segments import Window, cut, from_bytes, stack, to_bytes
from plaudit.runs import saved
from plaudit.runs.folder import RunFolder
from plaudit.stages import optimise
from plaudit.stages.adapters.control import ControlRun
from plaudit.storage import open_store
from plaudit.storage.store import NewResponse


@given(st.integers(0, 3000), st.integers(1, 300), st.integers(0, 40), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_exactly_so_many_are_asked(labels: int, first: int, rounds: int, until: float) -> None:
    plan = schedule(FeedbackSettings(labels=labels, first=first, rounds=rounds, until=until))
    assert sum(count for _, count in plan) == labels
    assert all(count > 0 for _, count in plan)
    times = [time for time, _ in plan]
    assert times == sorted(times) and all(0 <= time <= until + 1e-9 for time in times)
    if labels:
        assert plan[0][0] == 0
    counts = [count for _, count in plan[1:]]
    assert all(
        one >= other - 1 for one, other in zip(counts, counts[1:], strict=False)
    )  # ever fewer, but for rounding


def test_a_schedule_by_hand() -> None:
    # 10 first, then 12 in proportion 3 : 2 : 1
    plan = schedule(FeedbackSettings(labels=22, first=10, rounds=3, until=0.6))
    assert [count for _, count in plan] == [10, 6, 4, 2]
    assert [time for time, _ in plan] == pytest.approx([0, 0.2, 0.4, 0.6])
    assert schedule(FeedbackSettings(labels=0)) == []
    assert schedule(FeedbackSettings(labels=5, first=50)) == [(0.0, 5)]
    assert sum(c for _, c in schedule(FeedbackSettings(labels=9, first=4, rounds=0))) == 9


@pytest.mark.parametrize("mistakes", [0.0, 0.3])
@pytest.mark.parametrize("known", [False, True])
def test_forecasts_are_those_of_the_likelihood_that_is_learned(mistakes: float, known: bool) -> None:
    """The reports judge the logged probabilities: they are of the same people as the loss."""
    returns = torch.tensor([[3.0, -2.0], [0.5, 1.0], [-4.0, 2.0], [1.0, 1.0]], dtype=torch.float64)
    said = torch.tensor([0.0, 1.0, 0.0, 0.5], dtype=torch.float64)
    people = Comparisons(said)
    if known:
        people = Comparisons(said, reliability=torch.full_like(said, 0.8), side_bias=torch.ones_like(said))
    likelihood = bradley_terry.Config(scale=2.0, mistakes=mistakes)
    learner = SimpleNamespace(likelihood=likelihood, returns=lambda _: returns)
    found = preferences.foretold(learner, SimpleNamespace(judgements=people))
    forecasts = found["reward/fresh_probabilities"]
    nll = [
        -y * math.log(p) - (1 - y) * math.log(1 - p) for p, y in zip(forecasts, said.tolist(), strict=True)
    ]
    assert found["reward/fresh_nll"] == pytest.approx(sum(nll) / len(nll), rel=1e-6)
    if mistakes and not known:  # nobody who errs in 15 % of the cases is foretold with more than 85 %
        assert all(0.15 <= p <= 0.85 for p in forecasts)


def config(**feedback: Any) -> Any:
    return from_mapping(
        {
            "environment": {"id": "Pendulum-v1", "envs": 4},
            "steps": 1200,
            "rollout": 60,
            "trainer": {"epochs": 1, "minibatch": 240},
            "policy": {"hidden": [4]},
            "reward": {
                "weights": {"learned": 1},
                "model": {"hidden": [4]},
                "fit": {"first_steps": 4, "steps": 2},
            },
            "feedback": {"labels": 20, "first": 8, "rounds": 3, "segment": 20} | feedback,
            "evaluate_episodes": 1,
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
def test_all_that_was_promised_is_asked(tmp_path: Path, until: float, steps: int) -> None:
    """Also where the last round would be due only after the last update began."""
    folder = optimise.start(replace(config(until=until), steps=steps), tmp_path / "r", quiet)
    store = open_store(folder.feedback)
    assert len(store.view(2**60)) == 20
    store.close()


def test_a_round_without_segments_waits_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later behaviour may hold no two segments; that ends no run. From the start it is a mistake in the config."""
    choose, calls = ControlTeaching.choose, iter(range(100))

    def sometimes(self: ControlTeaching, walk: Any, count: int) -> Any:
        if next(calls) in (1, 2):
            raise PlauditError("segment: no 20 consecutive steps")
        return choose(self, walk, count)

    monkeypatch.setattr(ControlTeaching, "choose", sometimes)
    folder = optimise.start(config(until=0.5), tmp_path / "r", quiet)
    # rounds of 6, 4 and 2 were due at 1/6, 1/3 and 1/2 of the steps: at updates 1, 2 and 3, of 5
    assert [row["feedback/labels"] for row in folder.rows()] == [8, 8, 8, 20, 20]
    with pytest.raises(PlauditError, match="segment"):
        optimise.start(config(segment=61), tmp_path / "s", quiet)


def test_a_round_that_finds_too_little_owes_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next round asks for it as well; what is owed at the end is said."""
    choose, most = ControlTeaching.choose, iter([8, 4, 5, 1])
    monkeypatch.setattr(
        ControlTeaching, "choose", lambda self, walk, count: choose(self, walk, count)[: next(most)]
    )
    folder = optimise.start(config(until=0.5), tmp_path / "r", quiet)
    assert [row["feedback/labels"] for row in folder.rows()] == [
        8,
        12,
        17,
        18,
        18,
    ]  # of 8, 6, 4 + 2 and 2 + 1
    (note,) = folder.read_manifest()["notes"]
    assert note.startswith("2 of the 20 comparisons were never asked")


def test_answers_that_are_gone_are_missed(tmp_path: Path) -> None:
    folder = optimise.start(config(), tmp_path / "r", quiet)
    folder.write_manifest({"status": "running"})
    for file in folder.path.glob("feedback.db*"):
        file.unlink()
    with pytest.raises(PlauditError, match=r"feedback.db holds 0 answers but this run has learned from 20"):
        optimise.resume(folder.path, quiet)


def test_a_reward_that_changes_has_a_scale_of_its_own(tmp_path: Path) -> None:
    """What was seen of the reward before says nothing about the new one; without a refit the scale goes on."""
    run = ControlRun(config(until=0.15), RunFolder.create(tmp_path / "r", {}, "optimise", 0))
    assert run.control.reward_scale is not None and run.preferences is not None
    seen = []
    for _ in range(4):
        run.tick()
        seen.append((run.preferences.fits, run.control.reward_scale.moments.count.item()))
        assert (
            run.preferences.learner.model.outputs.count == 240
        )  # standardised over the newest behaviour alone
    run.close()
    assert seen == [(1, 240), (2, 240), (2, 480), (2, 720)]


def test_notes_survive_a_resume(tmp_path: Path) -> None:
    one, other = (ControlRun(config(), RunFolder.create(tmp_path / name, {}, "optimise", 0)) for name in "ab")
    one.notes.add("remember me")
    other.load_state_dict(one.state_dict())
    assert other.notes == {"remember me"}
    one.close(), other.close()


def test_asking_again_changes_nothing(tmp_path: Path) -> None:
    run = ControlRun(config(), folder(tmp_path))
    assert run.preferences is not None
    walk, _ = run.control.walk(run.state.policy)
    learner, store = run.preferences.learner, run.preferences.desk.store
    generator = learner.generator.get_state()
    store.enqueue(list(learner.questions(walk, 8, "0/0", 0)))
    before = store.queries()
    learner.generator.set_state(generator)
    store.enqueue(list(learner.questions(walk, 8, "0/0", 0)))
    assert store.queries() == before
    run.close()


def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", {"x": 1}, "optimise", 0)


def test_real_answers_are_waited_for_and_learned_from(tmp_path: Path) -> None:
    """Nobody is simulated: whoever answers does so in the store, and the next update has learned it."""
    run = ControlRun(config(people=[], ahead=100), folder(tmp_path))
    assert run.preferences is not None
    store = run.preferences.desk.store
    asked: list[Any] = []

    def answer() -> None:
        query = store.claim("somebody", 60.0)
        assert query is not None
        asked.append(query)
        said = Comparison((query.items[0], query.items[1]), "first")
        store.submit(NewResponse(f"uuid-{query.id}", query.id, "somebody", said, query.shown_order))

    obey = run.preferences.desk.commands.obey

    def obey_and_answer() -> None:
        obey()
        if not asked:
            answer()

    run.preferences.desk.commands.obey = obey_and_answer  # type: ignore[method-assign]
    row = run.tick()
    assert row["feedback/labels"] == 1 and run.preferences.fits == 1 and len(asked) == 1
    fitted = run.preferences.learner.model.head.detach().clone()
    row = run.tick()
    assert row["feedback/labels"] == 1 and run.preferences.fits == 1
    assert torch.equal(run.preferences.learner.model.head, fitted)
    answer()
    row = run.tick()
    assert row["feedback/labels"] == 2 and run.preferences.fits == 2 and "reward/fresh_accuracy" in row
    assert not torch.equal(run.preferences.learner.model.head, fitted)
    run.close()


@pytest.mark.parametrize("ahead", [0, 3, 8])
def test_the_loop_does_not_run_away_from_people(
    tmp_path: Path, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on as soon as no more questions wait than it may be ahead of real people, and not before.

    The last update waits for all of them, and learns from all answers.
    """
    monkeypatch.setattr(preferences, "POLL_SECONDS", 0.0)
    run = ControlRun(config(people=[], ahead=ahead), folder(tmp_path))
    assert run.preferences is not None
    store, obey = run.preferences.desk.store, run.preferences.desk.commands.obey

    def obey_and_answer() -> None:
        obey()
        query = store.claim("somebody", 60.0)
        assert query is not None
        said = Comparison((query.items[0], query.items[1]), "first")
        store.submit(NewResponse(f"uuid-{query.id}", query.id, "somebody", said, query.shown_order))

    run.preferences.desk.commands.obey = obey_and_answer  # type: ignore[method-assign]
    learned = []
    while not run.done:
        row = run.tick()
        assert row["feedback/alone"] == 0.0
        learned.append(row["feedback/labels"])
        assert store.pending() <= ahead
    assert len(store.queries()) == len(store.answers()) == 20
    assert learned[-1] == 20 and (ahead == 0 or learned[-2] == 20 - ahead)
    run.close()


def test_the_last_update_waits_only_while_somebody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions that nobody answers any more do not keep a run from its end, even where its patience has none."""
    monkeypatch.setattr(preferences, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(preferences, "FAREWELL", 0.2)
    run = ControlRun(config(people=[], ahead=5), folder(tmp_path))
    assert run.preferences is not None
    store, obey = run.preferences.desk.store, run.preferences.desk.commands.obey

    def obey_and_answer() -> None:
        obey()
        query = store.claim("somebody", 60.0) if len(store.answers()) < 17 else None
        if query is not None:
            said = Comparison((query.items[0], query.items[1]), "first")
            store.submit(NewResponse(f"uuid-{query.id}", query.id, "somebody", said, query.shown_order))

    run.preferences.desk.commands.obey = obey_and_answer  # type: ignore[method-assign]
    while not run.done:
        row = run.tick()
    assert store.pending() == 3 and row["feedback/labels"] == 17
    run.close()


def test_people_who_leave_are_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody answers once and goes: after its patience the loop learns on from that, and says what is open."""
    monkeypatch.setattr(preferences, "POLL_SECONDS", 0.001)
    run = ControlRun(config(people=[], ahead=0, patience=0.05), folder(tmp_path))
    assert run.preferences is not None
    store, obey = run.preferences.desk.store, run.preferences.desk.commands.obey

    def obey_and_answer_once() -> None:
        obey()
        if not store.answers():
            query = store.claim("somebody", 60.0)
            assert query is not None
            said = Comparison((query.items[0], query.items[1]), "first")
            store.submit(NewResponse("uuid", query.id, "somebody", said, query.shown_order))

    run.preferences.desk.commands.obey = obey_and_answer_once  # type: ignore[method-assign]
    alone = []
    while not run.done:
        alone.append(run.tick()["feedback/alone"])
    assert store.pending() == 19 and run.preferences.fits == 1
    assert set(alone) == {1.0}  # which the pages tell whoever comes back
    run.close()


def test_somebody_who_answers_all_there_is_counts_as_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the loop learns they have nothing to answer, and new questions hide that the old ones were answered."""
    monkeypatch.setattr(preferences, "POLL_SECONDS", 0.001)
    patience = 0.2
    run = ControlRun(config(people=[], ahead=0, patience=patience), folder(tmp_path))
    assert run.preferences is not None
    store, learn = run.preferences.desk.store, run.preferences.learn
    rested: list[int] = []

    def answer_all() -> None:
        rested.append(store.pending())
        while query := store.claim("somebody", 60.0):
            said = Comparison((query.items[0], query.items[1]), "first")
            store.submit(NewResponse(f"uuid-{query.id}", query.id, "somebody", said, query.shown_order))

    def learn_slowly(*given: Any) -> Any:
        time.sleep(1.5 * patience)
        return learn(*given)

    run.preferences.desk.commands.obey = answer_all  # type: ignore[method-assign]
    run.preferences.learn = learn_slowly  # type: ignore[method-assign]
    while not run.done:
        run.tick()
    assert store.pending() == 0 and sum(rested) == 20  # it has waited at every round
    run.close()


def test_people_who_only_skip_teach_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once nothing waits any more there is nothing to wait for: the run ends with what to do."""
    monkeypatch.setattr(preferences, "POLL_SECONDS", 0.0)
    run = ControlRun(config(people=[]), folder(tmp_path))
    assert run.preferences is not None
    store, obey = run.preferences.desk.store, run.preferences.desk.commands.obey

    def obey_and_skip() -> None:
        obey()
        query = store.claim("somebody", 60.0)
        assert query is not None
        said = Comparison((query.items[0], query.items[1]), "skip")
        store.submit(NewResponse(f"uuid-{query.id}", query.id, "somebody", said, query.shown_order))

    run.preferences.desk.commands.obey = obey_and_skip  # type: ignore[method-assign]
    with pytest.raises(PlauditError, match="ask for more comparisons first"):
        run.tick()
    run.close()


def test_segments_there_and_back(tmp_path: Path) -> None:
    run = ControlRun(config(), folder(tmp_path))
    walk, _ = run.control.walk(run.state.policy)
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
