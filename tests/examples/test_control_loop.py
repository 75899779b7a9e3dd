"""The loop on one page runs, asks what it was told to, and hides the environment's reward."""

import importlib.util
import math
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "examples" / "control_loop.py"


@pytest.fixture
def loop():
    spec = importlib.util.spec_from_file_location("control_loop", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_it_runs_and_repeats_itself(loop, capsys):
    first = loop.main(steps=6400, labels=8, seed=3)
    assert math.isfinite(first) and first < 0
    assert loop.main(steps=6400, labels=8, seed=3) == first
    assert loop.main(steps=6400, labels=8, seed=4) != first
    assert "mean true return" in capsys.readouterr().out


@pytest.mark.parametrize("updates", [20, 50, 63])
@pytest.mark.parametrize("labels", [8, 50, 200])
def test_every_label_is_asked_once_in_the_first_half(loop, updates, labels):
    asked = [loop.questions(update, updates, labels) for update in range(updates)]
    assert sum(asked) == labels and min(asked) >= 0
    assert asked[0] == labels // 4
    assert sum(asked[updates // 2 + 2 :]) == 0


@pytest.mark.slow
def test_the_learner_sees_the_persons_answers_and_no_reward(loop, monkeypatch):
    """A person who answers the same whatever was paid hides the reward: other rewards, same learning."""
    monkeypatch.setattr(loop, "prefers_first", lambda first, second: 1.0)
    learned = []
    update = loop.Updater.update
    monkeypatch.setattr(
        loop.Updater, "update", lambda learner, *rest: (update(learner, *rest), learned.append(learner))
    )
    loop.main(steps=6400, labels=8, seed=0)
    honest = learned[-1].policy.state_dict()
    collect = loop.ControlRollouts.collect

    def paid_otherwise(self, policy, limit=None):
        found = collect(self, policy, limit)
        found.record.environment_rewards.mul_(-3.0)
        return found

    monkeypatch.setattr(loop.ControlRollouts, "collect", paid_otherwise)
    loop.main(steps=6400, labels=8, seed=0)
    other = learned[-1].policy.state_dict()
    assert all((honest[name] == other[name]).all() for name in honest)


def test_it_stays_on_one_page():
    assert len(PATH.read_text(encoding="utf-8").splitlines()) <= 150
