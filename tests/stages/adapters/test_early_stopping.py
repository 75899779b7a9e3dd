"""Held-out judgements: nobody learns from them, they are counted right, and noise alone ends no run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plaudit.feedback import Comparison
from plaudit.runs.checkpoint import load_tree
from plaudit.runs.folder import RunFolder
from plaudit.stages import optimise
from plaudit.stages.adapters import early_stopping
from plaudit.stages.adapters import language as run_module
from plaudit.stages.adapters.early_stopping import START, Check, best, counted, fallen
from plaudit.stages.adapters.language import LanguageTask
from plaudit.storage import open_store
from plaudit.storage.store import NewResponse, Response
from tests.processes import metrics
from tests.stages.tasks import tick
from tests.text_world import World, quiet

# ---- when to stop ----------------------------------------------------------------------------------------------------


def followed(curve: Sequence[float], seed: int, judgements: int = 60) -> tuple[int | None, int]:
    """Checks of a policy whose true win rates these are, KL growing: when the run ends, and which policy is kept."""
    generator, checks = np.random.default_rng(seed), []
    for i, rate in enumerate(curve):
        checks.append(Check(i + 1, float(i), float(generator.binomial(judgements, rate)), judgements))
        if fallen(checks, 3):
            return i + 1, best(checks).update
    return None, best(checks).update


def share_stopped(curve: Sequence[float], judgements: int = 60, seeds: int = 400) -> float:
    return sum(followed(curve, seed, judgements)[0] is not None for seed in range(seeds)) / seeds


@pytest.mark.parametrize(("rate", "length", "judgements"), [(0.5, 20, 60), (0.8, 20, 20), (0.6, 50, 60)])
def test_noise_ends_few_runs(rate: float, length: int, judgements: int) -> None:
    """At most about one in twenty, however long it goes on."""
    assert share_stopped([rate] * length, judgements) <= 0.08


def test_a_run_that_gets_better_goes_on() -> None:
    rising = np.linspace(0.5, 0.9, 20)
    assert share_stopped(rising) <= 0.01
    kept = [followed(rising, seed)[1] for seed in range(100)]
    assert np.quantile(kept, 0.05) >= 13


def test_a_run_that_gets_worse_ends_and_keeps_the_peak() -> None:
    curve = [*np.linspace(0.5, 0.85, 8), *np.linspace(0.83, 0.3, 12)]  # best at check 8 of 20
    found = [followed(curve, seed) for seed in range(200)]
    ends = [end for end, _ in found if end is not None]
    assert len(ends) >= 198 and 10 <= np.mean(ends) <= 16
    kept = [update for _, update in found]
    assert np.quantile(kept, 0.05) >= 5 and np.quantile(kept, 0.95) <= 11
    assert np.mean([curve[update - 1] for update in kept]) > 0.78


def test_a_curve_without_noise() -> None:
    rates = [0.5, 0.6, 0.7, 0.8, 0.8, 0.6, 0.5, 0.4]
    checks = [Check(5 * i, 2.0 * i, rate * 1000, 1000) for i, rate in enumerate(rates, 1)]
    assert [fallen(checks[:n], 3) for n in range(9)] == [False] * 7 + [True] * 2
    assert best(checks).update in (20, 25)
    assert best(checks[:1]) == START and not fallen([], 3)


def test_without_any_judgement() -> None:
    checks = [Check(i, float(i), 0.0, 0) for i in range(1, 12)]
    assert not fallen(checks, 3) and best(checks) == checks[-1] and checks[0].rate == 0.5


def test_the_start_is_kept_where_nothing_beats_it() -> None:
    losing = [Check(i, float(i), 6.0, 60) for i in range(1, 6)]
    assert best(losing) == best(losing[:1]) == START
    assert [fallen(losing[:n], 3) for n in range(6)] == [False] * 5 + [True]
    level = [Check(i, -0.2, 30.0, 60) for i in range(1, 6)]  # an estimate of KL may be negative
    assert best(level) == START
    winning = [Check(i, -0.2, 54.0, 60) for i in range(1, 6)]
    assert best(winning) == winning[0]
    assert best([*winning, Check(6, -3.0, 0.0, 0)]) == winning[0]  # nobody has seen the last one
    assert best([Check(i, 1.0 - i, 54.0, 60) for i in range(1, 6)]).update == 1  # no distance is below 0


# ---- counting --------------------------------------------------------------------------------------------------------


def said(answer: str, query: int = 1) -> Response:
    return Response(
        query, query, f"u{query}", query, "p", Comparison(("a", "b"), answer), (0, 1), None, None, 0.0
    )


def test_a_count_by_hand() -> None:
    answers = ["first", "first", "second", "equal", "skip", "both_bad", "first", "equal"]
    check = counted(7, 1.5, [said(answer, i) for i, answer in enumerate(answers)])
    # three wins, a loss, two halves; skipped and `both bad` say nothing about order
    assert check == Check(7, 1.5, 4.0, 6) and check.rate == pytest.approx(4 / 6)


WATCH = {"every": 2, "judgements": 12, "stop": True}


@pytest.fixture(scope="module")
def watched(world: World, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with two checks."""
    config = world.config(win_rate_check=WATCH, gold_reward=world.hidden, evaluate_count=3)
    return optimise.start(config, tmp_path_factory.mktemp("watched") / "run", quiet)


@pytest.mark.slow
def test_held_out_judgements_are_asked_of_the_same_people_and_never_learned_from(
    watched: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(watched.feedback)
    queries = {query.id: query for query in store.queries()}
    view = store.view(2**60)
    store.close()
    held = [r for r in view if queries[r.query_id].purpose == "held_out"]
    assert {r.annotator for r in held} == {r.annotator for r in view} == {"simulated-0"}
    assert len(view) == 14 + len(held) and 12 <= len(held) <= 24
    rows = metrics(watched.path)
    assert rows[-1]["feedback/labels"] == 14
    assert [row.get("watch/judgements") for row in rows][::2] == [None, None]
    assert sum(row.get("watch/judgements", 0) for row in rows) == len(held)  # nobody skips here
    for row in (rows[1], rows[3]):
        mine = [r for r in held if queries[r.query_id].tick == row["update"]]
        points = sum({"first": 1.0, "second": 0.0, "equal": 0.5}[r.feedback.answer] for r in mine)
        assert row["watch/judgements"] == len(mine)
        assert row["watch/win_rate"] == pytest.approx(points / len(mine))
        assert {
            "watch/held_out_accuracy",
            "watch/held_out_nll",
        } <= row.keys()  # how well the reward foretold them


def test_a_held_out_question_is_about_held_out_prompts(watched: RunFolder, world: World) -> None:
    config = world.config(win_rate_check=WATCH, evaluate_count=3)
    run = LanguageTask(config, RunFolder.create(watched.path.with_name("again"), {}, "optimise", 0))
    allowed = {prompt.text for prompt in run.models.prompts.held_out}
    learned = {prompt.text for prompt in run.models.prompts.train}
    run.close()
    assert len(allowed) == 3 and not allowed & learned
    store = open_store(watched.feedback)
    for query in store.queries():
        assert query.payload["prompt"] in (allowed if query.purpose == "held_out" else learned)
    store.close()


@pytest.mark.slow
def test_what_is_held_out_changes_nothing_that_is_learned(world: World, tmp_path: Path) -> None:
    """With checks and without them: the same policy, the same reward."""
    found = []
    for name, watch in (("with", {"every": 1, "judgements": 5}), ("without", {"every": 0})):
        optimise.start(world.config(win_rate_check=watch), tmp_path / name, quiet)
        found.append(load_tree(sorted((tmp_path / name / "checkpoints").iterdir())[-1]))
    one, other = found
    assert one["task"]["early_stopping"] is not None and other["task"]["early_stopping"] is None
    policies = [tree["learner"]["updater"]["policy"] for tree in found]
    assert all(torch.equal(policies[0][name], tensor) for name, tensor in policies[1].items())
    learners = [tree["learner"]["rewards"]["learned"]["trainer"]["medium"]["model"] for tree in found]
    assert all(torch.equal(learners[0][name], tensor) for name, tensor in learners[1].items())


@pytest.mark.slow
def test_the_best_policy_is_put_back(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judgements here fall from the third check on; the run ends early with exactly the weights of then."""
    points = {1: 50.0, 2: 95.0, 3: 90.0} | {update: 10.0 for update in range(4, 10)}
    monkeypatch.setattr(
        early_stopping,
        "counted",
        lambda update, kl, responses: Check(update, float(update), points[update], 100),
    )
    seen: dict[int, dict[str, torch.Tensor]] = {}
    watch = early_stopping.EarlyStopping.check

    def check(self: Any, update: int, kl: float, sides: Any, policy: Any) -> Any:
        seen[update] = {name: p.detach().clone() for name, p in policy.named_parameters()}
        return watch(self, update, kl, sides, policy)

    monkeypatch.setattr(early_stopping.EarlyStopping, "check", check)
    config = world.config(
        updates=9, win_rate_check={"every": 1, "judgements": 2, "stop": True, "patience": 2}, evaluate_count=2
    )
    kept: list[Any] = []
    finish = run_module.LanguageTask.finish
    monkeypatch.setattr(
        run_module.LanguageTask, "finish", lambda self, folder: kept.append(self) or finish(self, folder)
    )
    folder = optimise.start(config, tmp_path / "run", quiet)
    rows = metrics(folder.path)
    assert 4 <= len(rows) < 9 and folder.read_manifest()["result"]["kept_update"] == 2
    assert [place.name for place in (folder.path / "watched").iterdir()] == ["00000002"]
    for name, p in kept[0].models.policy.named_parameters():
        assert torch.equal(p, seen[2][name]) and not torch.equal(p, seen[max(seen)][name])


@pytest.mark.slow
def test_the_start_is_put_back(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judgements here are against the policy from the first check on: its weights are those of before them."""
    monkeypatch.setattr(
        early_stopping, "counted", lambda update, kl, responses: Check(update, float(update), 10.0, 100)
    )
    kept: list[Any] = []
    finish = run_module.LanguageTask.finish
    monkeypatch.setattr(
        run_module.LanguageTask, "finish", lambda self, folder: kept.append(self) or finish(self, folder)
    )
    config = world.config(win_rate_check={"every": 1, "judgements": 2, "stop": True}, evaluate_count=2)
    folder = optimise.start(config, tmp_path / "run", quiet)
    result = folder.read_manifest()["result"]
    assert result["kept_update"] == 0 and result["kl_per_answer"] == 0 and result["win_rate"] == 0.5
    assert [place.name for place in (folder.path / "watched").iterdir()] == ["00000000"]
    fresh = LanguageTask(config, RunFolder.create(tmp_path / "again", {}, "optimise", 0))
    before = fresh.models.policy.trainable()
    fresh.close()
    for name, tensor in kept[0].models.policy.trainable().items():
        assert torch.equal(tensor, before[name])


# ---- people who take their time --------------------------------------------------------------------------------------


def test_late_answers_are_counted_at_the_next_check(world: World, tmp_path: Path) -> None:
    functions = {"texts": f"{world.functions}:texts"}
    config = world.config(
        reward={"weights": {"texts": 1.0}, "functions": functions}, feedback={"labels": 0, "people": []},
        win_rate_check={"every": 1, "judgements": 4}, gold_reward=None,
    )  # fmt: skip
    run = LanguageTask(config, RunFolder.create(tmp_path / "run", {}, "optimise", 0))
    assert run.session is not None and run.early_stopping is not None
    store = run.session.store
    row = tick(run)
    assert row["watch/judgements"] == 0 and row["watch/win_rate"] == 0.5 and "feedback/labels" not in row
    for answer in ("first", "equal"):
        query = store.claim("somebody", 60.0)
        assert query is not None and query.key.startswith("held-out/1/")
        store.submit(NewResponse(f"u{query.id}", query.id, "somebody",
                                 Comparison((query.items[0], query.items[1]), answer), query.shown_order))  # fmt: skip
    assert tick(run)["watch/judgements"] == 0
    assert [(c.update, c.points, c.judgements) for c in run.early_stopping.checks] == [
        (1, 1.5, 2),
        (2, 0.0, 0),
    ]
    run.close()


@pytest.mark.slow
def test_checks_where_nothing_learns_from_people(world: World, tmp_path: Path) -> None:
    """A reward function, and people who only watch: checkpoints and a resume work as well."""
    functions = {"texts": f"{world.functions}:texts"}
    config = world.config(
        reward={"weights": {"texts": 1.0}, "functions": functions}, feedback={"labels": 0},
        win_rate_check={"every": 1, "judgements": 4}, checkpoint_every=1,
    )  # fmt: skip

    def stop(row: dict[str, Any]) -> None:
        if row["update"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimise.start(config, tmp_path / "run", stop)
    optimise.resume(tmp_path / "run", quiet)
    optimise.start(config, tmp_path / "whole", quiet)
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")
    assert all(row["watch/judgements"] > 0 for row in metrics(tmp_path / "run"))


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.slow
def test_answers_after_the_last_check_are_in_the_result(world: World, tmp_path: Path, stop: bool) -> None:
    """Nobody has answered when a check ends; what comes until the run is over is counted all the same."""
    functions = {"texts": f"{world.functions}:texts"}
    config = world.config(
        reward={"weights": {"texts": 1.0}, "functions": functions}, feedback={"labels": 0, "people": []},
        win_rate_check={"every": 2, "judgements": 4, "stop": stop}, gold_reward=None, updates=3,
    )  # fmt: skip
    folder = RunFolder.create(tmp_path / "run", {}, "optimise", 0)
    run = LanguageTask(config, folder)
    run.begin(folder)
    rows = [tick(run) for _ in range(3)]
    assert [row.get("watch/judgements") for row in rows] == [None, 0, 0]  # the last update is checked as well
    assert run.session is not None
    store = run.session.store
    while query := store.claim("somebody", 60.0):
        answer = "first" if query.key.startswith("held-out/2/") else "second"
        store.submit(NewResponse(f"u{query.id}", query.id, "somebody",
                                 Comparison((query.items[0], query.items[1]), answer), query.shown_order))  # fmt: skip
    result = run.finish(folder)
    run.close()
    first, last = result["checks"]
    assert (first["update"], last["update"]) == (2, 3)
    assert first["points"] == first["judgements"] > 0 and last["points"] == 0 < last["judgements"]
    assert first["kl"] == rows[1]["watch/kl_per_answer"] and last["kl"] == rows[2]["watch/kl_per_answer"]
    assert result["kept_update"] in ((0, 2) if stop else (3,)) and run.notes == set()


def test_where_nobody_judges_the_last_policy_is_kept(world: World, tmp_path: Path) -> None:
    functions = {"texts": f"{world.functions}:texts"}
    config = world.config(
        reward={"weights": {"texts": 1.0}, "functions": functions}, feedback={"labels": 0, "people": []},
        win_rate_check={"every": 1, "judgements": 4, "stop": True}, gold_reward=None,
    )  # fmt: skip
    manifest = optimise.start(config, tmp_path / "run", quiet).read_manifest()
    assert manifest["result"]["kept_update"] == 4
    assert [check["judgements"] for check in manifest["result"]["checks"]] == [0] * 4
    assert len(manifest["notes"]) == 1 and "nobody answered the held-out judgements" in manifest["notes"][0]
