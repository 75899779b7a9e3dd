"""Environments by name: what each setting gives, and what each mistake says."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from plaudit.environments.control.classic import ClassicVectorEnv
from plaudit.environments.control.make import Control, make
from plaudit.errors import PlauditError


def test_auto_takes_ours_where_it_can():
    for kwargs, kind in (
        ({}, ClassicVectorEnv),
        ({"g": 9.81, "max_episode_steps": 7}, ClassicVectorEnv),
        ({"render_mode": "rgb_array"}, SyncVectorEnv),
    ):
        source = make(Control("Pendulum-v1", 2, kwargs=kwargs))
        assert type(source.vector) is kind
        assert source.name == "Pendulum-v1" and source.num_envs == 2
        assert source.horizon == kwargs.get("max_episode_steps", 200)
    assert type(make(Control("CartPole-v1", horizon="fixed")).vector) is SyncVectorEnv


@pytest.mark.parametrize("autoreset", ["same_step", "next_step", "disabled"])
@pytest.mark.parametrize(("kind", "cls"), [("sync", SyncVectorEnv), ("async", AsyncVectorEnv)])
def test_modes(kind, cls, autoreset):
    source = make(Control("CartPole-v1", 2, kind, autoreset))
    assert type(source.vector) is cls and source.mode == AutoresetMode[autoreset.upper()]
    assert source.resume == ("exact" if kind == "sync" else "statistical")
    source.close()


def test_without_a_time_limit():
    source = make(Control("Pendulum-v1", 1, kwargs={"max_episode_steps": -1}))
    assert source.horizon is None
    source.reset(0)
    assert not any(source.step(np.zeros((1, 1), np.float32)).truncated[0] for _ in range(300))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_fixed_horizon(kind):
    """Every episode is as long as the time limit; after the fall nothing moves and nothing is paid."""
    config = Control("CartPole-v1", 3, kind, horizon="fixed", kwargs={"max_episode_steps": 60})
    source, generator = make(config), np.random.default_rng(0)
    before, over = source.reset(1), np.zeros(3, bool)
    for t in range(180):
        step = source.step(generator.integers(0, 2, 3))
        assert not step.terminated.any()
        np.testing.assert_array_equal(step.truncated, np.full(3, t % 60 == 59))
        np.testing.assert_array_equal(step.rewards, ~over)
        np.testing.assert_array_equal(step.successors[over], before[over])
        fallen = (np.abs(step.successors[:, 0]) > 2.4) | (np.abs(step.successors[:, 2]) > 12 * np.pi / 180)
        over = np.zeros(3, bool) if t % 60 == 59 else over | fallen
        if t % 60 == 50:
            assert over.all()
        before = step.observations
    source.close()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Control("CartPol-v1"), "there is no environment 'CartPol-v1'; did you mean 'CartPole-v1'"),
        (Control("cartpole-v1"), "did you mean 'CartPole-v1'"),
        (Control("CartPole"), "did you mean 'CartPole-v1'"),
        (
            Control("Pendulum-v7"),
            "there is no environment 'Pendulum-v7'.*did you mean 'Pendulum-v1'",
        ),
        (Control("no_such_module:Thing-v0"), "no_such_module.*cannot be imported"),
        (Control("qqqqqqqq"), "register"),
        (Control("CartPole-v1", envs=0), "environment.envs: 0 environments are too few"),
        (
            Control("LunarLander-v3", 1, "numpy"),
            "there is no NumPy LunarLander-v3; ours are CartPole-v1",
        ),
        (
            Control("Pendulum-v1", 1, "numpy", kwargs={"m": 2}),
            "there is no NumPy Pendulum-v1 with kwargs",
        ),
        (Control("Pendulum-v1", 1, "sync", kwargs={"m": 2}), "could not be made with kwargs.*'m'"),
        (Control("Pendulum-v1", 1, "vector_entry_point"), "has no vector_entry_point"),
        (Control("CartPole-v1", 1, "numpy", horizon="fixed"), "fixed does not work with .* numpy"),
        (
            Control("CartPole-v1", kwargs={"max_episode_steps": 0}),
            "max_episode_steps: 0 is no time limit",
        ),
        (
            Control("CartPole-v1", 1, horizon="fixed", kwargs={"max_episode_steps": -1}),
            "no time limit to fix the horizon at",
        ),
    ],
)
def test_mistakes(config, message):
    with pytest.raises(PlauditError, match=message):
        make(config)


def test_a_missing_extra_is_named(monkeypatch):
    def missing(*_, **__):
        raise DependencyNotInstalled("Box2D is not installed")

    monkeypatch.setattr(gymnasium, "make", missing)
    with pytest.raises(PlauditError, match=r"Box2D is not installed.*pip install 'plaudit\[control\]'"):
        make(Control("LunarLander-v3", 1))


def test_a_module_may_come_before_the_id(tmp_path, monkeypatch):
    (tmp_path / "plaudit_test_registers.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('Mine-v0', 'gymnasium.envs.classic_control:PendulumEnv', max_episode_steps=11)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    source = make(Control("plaudit_test_registers:Mine-v0", 2))
    assert source.name == "Mine-v0" and source.horizon == 11
    assert source.reset(0).shape == (2, 3)


def test_a_robot_is_made_without_a_word(tmp_path, monkeypatch, capfd):
    """MuJoCo finds an attribute of Gymnasium's hopper old-fashioned, and would write a file about it."""
    pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    make(Control("Hopper-v5", 1)).close()
    assert capfd.readouterr() == ("", "") and not list(tmp_path.iterdir())
