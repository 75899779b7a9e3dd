"""A run put together: what a refit resets, what is noted, what commands do, what a config may not say."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from plaudit.environments.control.rollouts import true_returns
from plaudit.errors import PlauditError
from plaudit.rewards.control import from_bytes
from plaudit.runs import config, saved
from plaudit.runs.folder import RunFolder
from plaudit.seeds import seed_of
from plaudit.stages import optimise
from plaudit.stages.evaluate import EvaluateControl, evaluate
from plaudit.storage import MemoryStore, open_store
from plaudit.storage.store import PAUSE, START, STOP, Commands, Stopped
from tests.stages.tasks import build, tick

SMALL: dict[str, Any] = {
    "environment": {"id": "Pendulum-v1", "envs": 4, "n_steps": 40},
    "timesteps": 4 * 40 * 4,
    "trainer": {"epochs": 1, "minibatch_size": 80},
    "policy": {"hidden": [8]},
    "reward": {
        "weights": {"learned": 1},
        "model": {"hidden": [8], "members": 2},
        "fit": {"first_steps": 3, "steps": 2},
    },
    "feedback": {"labels": 6, "first": 4, "rounds": 1, "until": 0.5, "segment": 10},
    "evaluate_count": 2,
}


def small(**changes: Any) -> config.RunConfig:
    return config.from_mapping(SMALL | changes, "test")


def test_a_run_says_how_it_began_and_ended_by_both_ways_to_act(tmp_path: Path) -> None:
    config_ = small(reward={"weights": {"environment": 1, "learned": 0}}, feedback={}, evaluate_count=3)
    folder = optimise.start(config_, tmp_path / "run", lambda row: None)
    result, seed = folder.read_manifest()["result"], seed_of(config_.seed, "evaluation")
    for which, told in (("policy-start", result["before"]), ("policy", result)):
        policy = saved.load_policy(folder.path / which)
        for greedy, suffix in ((True, ""), (False, "_drawn")):
            found = true_returns(policy, config_.environment, 3, seed, greedy)
            assert told[f"return_mean{suffix}"] == found.mean() and told[f"return_std{suffix}"] == found.std()
    assert result["return_mean"] != result["return_mean_drawn"] != result["before"]["return_mean_drawn"]
    again = evaluate(str(folder.path), EvaluateControl(3, seed=seed))
    assert again == {name: result[name] for name in again} and len(again) == 5
    drawn = evaluate(str(folder.path), EvaluateControl(3, sample=True, seed=seed))
    assert drawn["return_mean"] == result["return_mean_drawn"] and len(drawn) == 3


def test_a_refit_forgets_the_scale_of_the_reward_before(tmp_path: Path) -> None:
    run = build(small(), tmp_path / "run")
    scale = run.learner.rewards
    assert run.feedback is not None
    seen = []
    for _ in range(4):
        fits = run.feedback.fits
        tick(run)
        seen.append((run.feedback.fits > fits, int(scale.moments.count)))
    run.close()
    # 160 decisions a rollout; the second round is due at half of the budget, before the third update
    assert seen == [(True, 160), (False, 320), (True, 160), (False, 320)]


def test_a_learned_reward_without_weight_for_the_environment_ignores_it(tmp_path: Path) -> None:
    run = build(small(), tmp_path / "run")
    tick(run)
    fresh = run.rollouts.collect(run.policy, 160)
    rewards = fresh.record.environment_rewards + 1000
    paid_more = replace(fresh, record=replace(fresh.record, environment_rewards=rewards))
    one, other = (run.learner.rewards.rewards(behaviour) for behaviour in (fresh, paid_more))
    assert one.dense is not None and torch.equal(one.dense, other.dense)
    run.close()


def test_stop_ends_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "run"
    rows: list[dict[str, Any]] = []

    def watch(row: dict[str, Any]) -> None:
        rows.append(row)
        if row["update"] == 2:
            store = open_store(path / "feedback.db")
            store.command(STOP, {})
            store.close()

    with pytest.raises(PlauditError, match="stopped by command; go on with: plaudit resume"):
        optimise.start(small(), path, watch)
    assert RunFolder(path).read_manifest()["status"] == "stopped"
    optimise.resume(path, rows.append)
    assert [row["update"] for row in rows] == [1, 2, 3, 4]
    assert RunFolder(path).read_manifest()["status"] == "finished"


def test_a_pause_lasts_until_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaudit.storage.store.POLL_SECONDS", 0.01)
    store = MemoryStore(0)
    store.command(STOP, {})  # meant for a process of before
    wishes = Commands(store)
    wishes.obey()
    store.command(PAUSE, {})
    threading.Timer(0.2, lambda: store.command(START, {})).start()
    began = time.monotonic()
    wishes.obey()
    assert time.monotonic() - began >= 0.15
    store.command(STOP, {})
    with pytest.raises(Stopped):
        wishes.obey()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trainer": {"minibatch_size": 0}}, "trainer.minibatch_size: must be at least 1, not 0"),
        ({"trainer": {"epochs": -3}}, "trainer.epochs"),
        ({"trainer": {"anneal": ["clipp"]}}, "trainer.anneal: 'clipp' is no number of settings; known: clip"),
        ({"settings": {"discount": 7}}, "settings.discount: must be between 0 and 1, not 7"),
        ({"policy": {"critic": False}}, "policy.critic"),
        ({"policy": {"hidden": [0]}}, "hidden"),
        ({"reward": {"weights": {"environment": 0}}}, "reward.weights: all are 0"),
        ({"feedback": {"labels": 10, "first": 5, "until": 1.0}}, "feedback.until"),
        ({"feedback": {"labels": 10, "first": 0}}, "feedback.first"),
    ],
)
def test_settings_without_a_meaning(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlauditError) as caught:
        small(**changes)
    assert said in str(caught.value)


def test_without_a_critic_monte_carlo_will_do() -> None:
    settings = {"advantage": "monte_carlo"}
    assert not small(policy={"critic": False}, settings=settings).policy.critic


def test_monte_carlo_where_nothing_terminates_says_so(tmp_path: Path) -> None:
    run = build(small(settings={"advantage": "monte_carlo"}), tmp_path / "run")
    with pytest.raises(PlauditError, match="no episode terminates"):
        tick(run)
    run.close()


def test_learning_that_diverges_is_stopped(tmp_path: Path) -> None:
    wild = small(
        environment={"id": "CartPole-v1", "envs": 4, "n_steps": 40},
        trainer={"epochs": 1, "minibatch_size": 80, "learning_rate": 1e30, "max_grad_norm": None},
    )
    run = build(wild, tmp_path / "run")
    with pytest.raises(PlauditError, match="diverged"):
        for _ in range(4):
            tick(run)
    run.close()


JUDGE = """
def stillest(observations, actions, next_observations):
    return -abs(actions[..., 0])
"""


def test_simulated_people_answer_by_the_judge(tmp_path: Path) -> None:
    """The environment would have said otherwise of some of them."""
    (tmp_path / "judge.py").write_text(JUDGE)
    feedback = SMALL["feedback"] | {"labels": 12, "first": 12, "judge": f"{tmp_path / 'judge.py'}:stillest"}
    run = build(small(feedback=feedback), tmp_path / "run")
    tick(run)
    assert run.session is not None
    store, artifacts = run.session.store, run.session.artifacts
    queries = {query.id: query for query in store.queries()}
    worth: list[list[tuple[float, float]]] = []
    for response in store.answers():
        both = []
        for item in queries[response.query_id].items:
            segment = from_bytes(artifacts.get(item))
            torque = [abs(float(step[0])) for step in segment.executed[0]]
            both.append((-sum(torque), float(segment.environment_rewards.sum())))
        assert response.feedback.answer == ("first" if both[0][0] > both[1][0] else "second")
        worth.append(both)
    assert len(worth) == 12
    assert any((a[0] > b[0]) != (a[1] > b[1]) for a, b in worth)
    run.close()
