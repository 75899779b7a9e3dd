"""A restored source goes on bit for bit, or says that it cannot."""

import io
import json

import numpy as np
import pytest
from counting import Counting, policy
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from plaudit.environments.control.make import Control, make
from plaudit.environments.control.vector_env import Source
from plaudit.environments.control.wrappers import to_environment
from plaudit.errors import PlauditError

MODES = ["same_step", "next_step", "disabled"]
FIELDS = ("observations", "successors", "rewards", "terminated", "truncated", "alive")


def through_json(saved):
    plain = {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in saved.items()}
    return json.loads(json.dumps(plain))


def through_npz(saved):
    file = io.BytesIO()
    np.savez(file, **saved)
    file.seek(0)
    with np.load(file, allow_pickle=False) as read:
        return dict(read)


def plan(source, steps):
    """Random actions, fixed in advance."""
    generator, n = np.random.default_rng(5), source.num_envs
    if hasattr(source.action_space, "n"):
        return generator.integers(0, source.action_space.n, (steps, n))
    return to_environment(
        generator.uniform(-1.3, 1.3, (steps, n, *source.action_space.shape)), source.action_space
    )


def run(source, actions):
    return [source.step(a) for a in actions]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def check_exact(config, steps, go_on):
    """Snapshots inside an episode, before its last step, after it, and after the first of the next."""
    source = make(config)
    assert source.resume == "exact"
    source.reset(9)
    actions = plan(source, steps + go_on)
    reference = run(source, actions)
    ends = [t for t, s in enumerate(reference[:steps]) if (s.terminated | s.truncated).any()]
    assert ends, "give more steps"
    last = ends[-1]
    for taken in sorted({0, last // 2, last, last + 1, last + 2}):
        first = make(config)
        first.reset(9)
        run(first, actions[:taken])
        saved = first.snapshot()
        for carried in (saved, through_json(saved), through_npz(saved)):
            second = make(config)
            observations = second.restore(carried)
            if taken:
                np.testing.assert_array_equal(observations, reference[taken - 1].observations)
            assert_same(run(second, actions[taken : taken + go_on]), reference[taken : taken + go_on])
        assert_same(run(first, actions[taken : taken + 3]), reference[taken : taken + 3])  # unharmed
        first.restore(saved)  # into a source that has gone on
        assert_same(run(first, actions[taken : taken + go_on]), reference[taken : taken + go_on])
        for one in (first, second):
            one.close()
    source.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_sync_classics(id, mode):
    kwargs = {"max_episode_steps": 60} if id == "Pendulum-v1" else {}
    check_exact(Control(id, 3, "sync", mode, kwargs=kwargs), 80, 40)


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCarContinuous-v0"])
def test_ours(id):
    check_exact(Control(id, 3, kwargs={"max_episode_steps": 50}), 70, 60)


@pytest.mark.parametrize("mode", ["same_step", "next_step"])
def test_lunar_lander(mode):
    pytest.importorskip("Box2D")
    check_exact(Control("LunarLander-v3", 2, "sync", mode), 130, 60)


def test_bipedal_walker():
    """Its world outlives an episode in Gymnasium, and with it traces of what was before."""
    pytest.importorskip("Box2D")
    check_exact(Control("BipedalWalker-v3", 2, "sync", kwargs={"max_episode_steps": 45}), 50, 50)


@pytest.mark.parametrize("mode", ["same_step", "disabled"])
@pytest.mark.slow
def test_hopper(mode):
    pytest.importorskip("mujoco")
    check_exact(Control("Hopper-v5", 2, "sync", mode), 40, 60)


def test_fixed_horizon():
    config = Control("CartPole-v1", 2, "sync", horizon="fixed", kwargs={"max_episode_steps": 40})
    check_exact(config, 50, 50)


@pytest.mark.parametrize("see", ["dict", "discrete"])
def test_flattened_observations(see):
    id = "tests.environments.control.pressing:Pressing-v0"
    check_exact(Control(id, 2, "sync", kwargs={"see": see, "press": "box"}), 20, 20)


def test_a_resumed_source_can_be_saved_again():
    config = Control("LunarLander-v3", 2, "sync", "next_step")
    pytest.importorskip("Box2D")
    source = make(config)
    source.reset(1)
    actions = plan(source, 200)
    reference = run(source, actions)
    taken = []
    source.reset(1)
    for start in range(0, 200, 23):
        other = make(config)
        other.restore(source.snapshot())
        source = other
        taken += run(source, actions[start : start + 23])
    assert_same(taken, reference)


def counting(vector=SyncVectorEnv, resume="exact", **kwargs):
    mode = AutoresetMode.SAME_STEP
    return Source(vector([lambda: Counting(**kwargs)] * 2, autoreset_mode=mode), "Counting", resume=resume)


def test_an_environment_with_hidden_memory_is_found_out_and_resumes_statistically():
    source = counting(memory=True)
    observations = source.reset(3)
    for _ in range(20):
        observations = source.step(policy(observations)).observations
    with pytest.raises(PlauditError, match="Counting: environment 0 did not come back.*resume: statistical"):
        counting(memory=True).restore(source.snapshot())
    source = counting(memory=True, resume="statistical")
    source.reset(3)
    assert (counting(memory=True, resume="statistical").restore(source.snapshot())[:, 0] == 0).all()


def test_statistical_resume_begins_fresh_episodes_that_depend_on_seed_and_step_alone():
    def fresh(seed, steps):
        source = counting(AsyncVectorEnv)
        assert source.resume == "statistical"
        observations = source.reset(seed)
        for _ in range(steps):
            observations = source.step(policy(observations)).observations
        saved = through_json(source.snapshot())
        other = counting(AsyncVectorEnv)
        observations = other.restore(saved)
        assert not other.pending.any() and through_json(other.snapshot()) == saved | {
            "observations": observations.tolist()
        }
        source.close(), other.close()
        assert (observations[:, 0] == 0).all()
        return observations

    np.testing.assert_array_equal(fresh(3, 5), fresh(3, 5))
    assert (fresh(3, 5) != fresh(3, 6)).any() and (fresh(3, 5) != fresh(4, 5)).any()


def test_a_snapshot_of_something_else_is_refused():
    source = make(Control("CartPole-v1", 2))
    source.reset(0)
    for config in (
        Control("CartPole-v1", 3),
        Control("CartPole-v1", 2, "sync"),
        Control("Acrobot-v1", 2),
    ):
        with pytest.raises(PlauditError, match="a snapshot of 2 x CartPole-v1 .* cannot be restored into"):
            make(config).restore(source.snapshot())


@pytest.mark.parametrize("bits", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_any_bit_generator(bits):
    """A generator that the environment chose itself."""

    class Other(Counting):
        def reset(self, *, seed=None, options=None):
            if seed is not None:
                self.np_random = np.random.Generator(getattr(np.random, bits)(seed))
            return super().reset(options=options)

    def source():
        return Source(SyncVectorEnv([Other] * 2, autoreset_mode=AutoresetMode.SAME_STEP))

    first, second = source(), source()
    first.reset(3)
    run(first, np.ones((15, 2), int))
    second.restore(through_json(first.snapshot()))
    assert_same(run(first, np.ones((30, 2), int)), run(second, np.ones((30, 2), int)))
