"""What programs for the version before import: today's objects, and a note that names them."""

import subprocess
import sys
from importlib import import_module

import pytest
import torch

from plaudit import old_python_names
from plaudit.algorithms.on_policy import ppo
from plaudit.environments.control.config import Control
from plaudit.environments.control.make import make
from plaudit.environments.control.rollouts import ControlRollouts
from plaudit.errors import Renamed
from plaudit.models.actor_critic import ActorCritic, PolicyConfig
from plaudit.rewards.control import environment_reward
from plaudit.trainers import on_policy

README = """
from plaudit.pipeline import optimise
from plaudit.pipeline.control import config, saved
from plaudit.pipeline.report import write_report
import plaudit.faces.agent

import plaudit.report, plaudit.runs.config, plaudit.runs.saved, plaudit.stages.optimise, plaudit.api.agent
assert optimise.start is plaudit.stages.optimise.start
assert config.load is plaudit.runs.config.load
assert saved.load_policy is plaudit.runs.saved.load_policy and saved.load_reward is plaudit.runs.saved.load_reward
assert write_report is plaudit.report.write_report
assert plaudit.faces.agent.PPOAgent is plaudit.api.agent.PPOAgent
"""
"""The imports of that version's README, and its report's."""


def said(program: str) -> list[str]:
    """The notes that a program in a process of its own is given, with the lines they are about."""
    command = [
        sys.executable,
        "-W",
        "always::plaudit.errors.Renamed",
        "-W",
        "always::DeprecationWarning",
        "-c",
        program,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "Renamed: " in line]


@pytest.mark.slow
def test_the_imports_of_the_readme_before_work_and_are_told() -> None:
    notes = said(README)
    for line, old, new in (
        (2, "plaudit.pipeline.optimise", "plaudit.stages.optimise"),
        (3, "plaudit.pipeline.control.config", "plaudit.runs.config"),
        (3, "plaudit.pipeline.control.saved", "plaudit.runs.saved"),
        (4, "plaudit.pipeline.report", "plaudit.report"),
        (5, "plaudit.faces.agent", "plaudit.api.agent"),
    ):
        assert f"<string>:{line}: Renamed: {old} is called {new} now" in notes


@pytest.mark.slow
def test_programs_of_today_are_told_nothing() -> None:
    assert not said("import plaudit; plaudit.agents; plaudit.RewardModel; import plaudit.stages.optimise")


@pytest.mark.parametrize("old", [old for old, new in old_python_names.MODULES.items() if new is not None])
def test_every_old_module_stands_for_one_that_exists(old: str) -> None:
    sys.modules.pop(old, None)
    new = str(old_python_names.MODULES[old])
    with pytest.warns(Renamed, match=f"{old} is called {new} now"):
        module = import_module(old)
    today = import_module(new)
    for name in [name for name in vars(today) if not name.startswith("_")]:
        if f"{old}.{name}" not in old_python_names.NAMES:
            assert getattr(module, name) is getattr(today, name)
    with pytest.raises(AttributeError):
        module.nothing_of_that_name  # noqa: B018


@pytest.mark.parametrize(("old", "new"), old_python_names.NAMES.items())
@pytest.mark.filterwarnings("ignore::plaudit.errors.Renamed")
def test_every_old_name_stands_for_one_that_exists(old: str, new: str) -> None:
    before, after = (name.rpartition(".") for name in (old, new))
    module = import_module(before[0])
    with pytest.warns(Renamed, match=f"{old} is called {new} now"):
        found = getattr(module, before[2])
    assert found is getattr(import_module(after[0]), after[2])


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        import_module("plaudit.pipeline.nothing")
    with pytest.raises(AttributeError):
        on_policy.nothing  # noqa: B018


def test_a_loop_on_the_trainer_before_learns_the_same() -> None:
    """The names of before beside today's, in the same environments."""
    settings, config = ppo.Config(discount=0.9), on_policy.Config(epochs=2, minibatch_size=4)
    weights = []
    for old in (True, False):
        world = ControlRollouts(make(Control("CartPole-v1", envs=2)), 8, seed=0)
        draws = torch.Generator().manual_seed(0)
        policy = ActorCritic(world.spaces, PolicyConfig(), draws)
        if old:
            with pytest.warns(
                Renamed, match=r"on_policy.Learner is called plaudit.trainers.on_policy.Algorithm"
            ):
                learner = on_policy.Learner(ppo, settings, config)
            with pytest.warns(Renamed, match=r"on_policy.start is called"):
                state = on_policy.start(policy, config, draws)
            with pytest.warns(Renamed, match=r"on_policy.update is called"):
                update = on_policy.update
        else:
            state = on_policy.Updater(policy, on_policy.Algorithm(ppo, settings), config, draws)
        for remaining in (1.0, 0.5):
            behaviour = world.collect(policy)
            rollout = world.episodes(behaviour, policy, None, environment_reward(behaviour))
            if old:
                update(state, rollout, learner, remaining)
            else:
                state.update(rollout, remaining)
        assert state.updates == 2 and state.metrics["policy/learning_rate"] == 0.5 * config.learning_rate
        weights.append(state.optimiser.flat.vector.clone())
    assert torch.equal(*weights)
