"""The same decisions, the same successors, whatever the vector environment does at the end of an episode."""

import gymnasium
import numpy as np
import pytest
from counting import Counting, oracle, policy
from gymnasium.spaces import Box, Dict, Discrete, Graph, Sequence, Text, Tuple
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from plaudit.environments.control.make import Control, make
from plaudit.environments.control.vector_env import Source
from plaudit.environments.control.wrappers import Replayable
from plaudit.errors import PlauditError

MODES = list(AutoresetMode)
KINDS = {"sync": SyncVectorEnv, "async": AsyncVectorEnv}


def counting(kind, mode, envs=3, **kwargs):
    # wrapped as `make` does: AsyncVectorEnv sends final_obs after the reset, which overwrites its buffer
    one = (lambda: Counting(**kwargs)) if kind == "sync" else (lambda: Replayable(Counting(**kwargs)))
    name = None if kind == "sync" else "Counting"
    return Source(KINDS[kind]([one] * envs, autoreset_mode=mode), name)


def walk(source, steps, seed=11, act=policy):
    """(acted in, action, step) of every vector step."""
    observations, columns = source.reset(seed), []
    for _ in range(steps):
        actions = act(observations)
        step = source.step(actions)
        columns.append((observations, actions, step))
        observations = step.observations
    return columns


def decisions(columns, row):
    """Of one environment, without the dead steps."""
    return [
        (before[row], a[row], s.rewards[row], s.successors[row], s.terminated[row], s.truncated[row])
        for before, a, s in columns
        if s.alive[row]
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_same_decisions_as_a_plain_loop(kind, mode):
    source = counting(kind, mode)
    columns = walk(source, 60)
    source.close()
    ends = dead = 0
    for row in range(3):
        ours = decisions(columns, row)
        for mine, theirs in zip(ours, oracle(11 + row, len(ours)), strict=True):
            for a, b in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
        ends += sum(bool(d[4] or d[5]) for d in ours[:-1])
        dead += 60 - len(ours)
        assert {(bool(d[4]), bool(d[5])) for d in ours} == {(a, b) for a in (0, 1) for b in (0, 1)}
    assert dead == (ends if mode == AutoresetMode.NEXT_STEP else 0) or dead == ends + 1
    assert ends > 20


@pytest.mark.parametrize("mode", MODES)
def test_dead_rows_are_counted_and_empty(mode):
    columns = walk(counting("sync", mode), 50)
    alive = np.array([s.alive for *_, s in columns])
    ends = np.array([s.terminated | s.truncated for *_, s in columns])
    if mode == AutoresetMode.NEXT_STEP:
        np.testing.assert_array_equal(~alive[1:], ends[:-1])  # a dead row after each end, and nowhere else
        assert alive[0].all()
        for (_, _, before), (_, _, s) in zip(columns, columns[1:], strict=False):
            rows = ~s.alive
            assert (
                (s.rewards[rows] == 0).all() and not s.terminated[rows].any() and not s.truncated[rows].any()
            )
            assert (s.observations[rows, 0] == 0).all()
            np.testing.assert_array_equal(before.observations[rows], before.successors[rows])
    else:
        assert alive.all()
        for _, _, s in columns:
            ended = s.terminated | s.truncated
            assert (s.observations[ended, 0] == 0).all()  # begun again in the same step
            np.testing.assert_array_equal(
                s.successors[ended, 0], s.successors[ended, 1]
            )  # but seen to the end
            np.testing.assert_array_equal(s.successors[~ended], s.observations[~ended])


@pytest.mark.parametrize("mode", MODES)
def test_one_step_episodes_that_terminate_and_truncate_at_once(mode):
    source = counting("sync", mode, envs=2, longest=1)
    both = [s for *_, s in walk(source, 40) if s.alive.all() and (s.terminated & s.truncated).any()]
    assert both
    for s in both:
        rows = s.terminated & s.truncated
        assert (s.successors[rows, 0] == 1).all()


def test_vector_entry_point():
    """CartPole's own vector class resets in the next step; its successors obey x' = x + .02 v to the end."""
    source = make(Control("CartPole-v1", 4, "vector_entry_point"))
    assert source.mode == AutoresetMode.NEXT_STEP and source.resume == "statistical"
    check_cartpole(source, dead=True)


@pytest.mark.parametrize("vectorization", ["numpy", "sync"])
@pytest.mark.parametrize("autoreset", ["same_step", "next_step", "disabled"])
def test_cartpole_of_every_kind(vectorization, autoreset):
    source = make(Control("CartPole-v1", 4, vectorization, autoreset))
    check_cartpole(source, dead=vectorization == "sync" and autoreset == "next_step")


def check_cartpole(source, dead):
    generator = np.random.default_rng(0)
    columns = walk(source, 200, act=lambda o: generator.integers(0, 2, len(o)))
    ends = 0
    for before, _, s in columns:
        moved = before[s.alive, 0] + 0.02 * before[s.alive, 1]
        np.testing.assert_allclose(s.successors[s.alive, 0], moved, atol=1e-6)
        assert (s.rewards == s.alive).all() and s.rewards.dtype == np.float64
        assert not s.truncated.any()
        fallen = (np.abs(s.successors[:, 0]) > 2.4) | (np.abs(s.successors[:, 2]) > 12 * np.pi / 180)
        np.testing.assert_array_equal(fallen & s.alive, s.terminated)
        begun = ~s.alive if dead else s.terminated
        assert (np.abs(s.observations[begun]) <= 0.05).all()
        ends += int(s.terminated.sum())
    missing = sum(int((~s.alive).sum()) for *_, s in columns)
    pending = int(columns[-1][2].terminated.sum())
    assert missing == (ends - pending if dead else 0)
    assert ends > 10


def test_time_limit_and_async_equals_sync():
    results = []
    for kind in ("sync", "async"):
        source = make(Control("Pendulum-v1", 2, kind, kwargs={"max_episode_steps": 5}))
        generator = np.random.default_rng(0)
        columns = walk(source, 12, act=lambda o, g=generator: g.uniform(-2, 2, (2, 1)))
        source.close()
        results.append(
            [np.concatenate([s.observations, s.successors, s.rewards[:, None]], 1) for *_, s in columns]
        )
        assert [bool(s.truncated.all()) for *_, s in columns] == [t in (4, 9) for t in range(12)]
        assert not any(s.terminated.any() for *_, s in columns)
        assert source.horizon == 5
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("vectorization", ["numpy", "sync", "async"])
def test_results_do_not_depend_on_how_many_there_are(vectorization):
    few, many = (make(Control("CartPole-v1", n, vectorization)) for n in (2, 5))
    act = np.random.default_rng(1).integers(0, 2, (80, 5))
    np.testing.assert_array_equal(few.reset(3), many.reset(3)[:2])
    for actions in act:
        a, b = few.step(actions[:2]), many.step(actions)
        for name in ("observations", "successors", "rewards", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name)[:2])
    few.close(), many.close()


@pytest.mark.parametrize("vectorization", ["numpy", "sync", "async"])
def test_environment_i_is_seeded_with_seed_plus_i(vectorization):
    source = make(Control("Pendulum-v1", 3, vectorization))
    observations = source.reset(40)
    source.close()
    for i in range(3):
        np.testing.assert_array_equal(observations[i], gymnasium.make("Pendulum-v1").reset(seed=40 + i)[0])


@pytest.mark.filterwarnings("ignore")  # Gymnasium logs the worker's traceback as a warning
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_an_exception_names_the_environment_and_the_step(kind, mode):
    source = counting(kind, mode, broken_at=(12, 3))
    with pytest.raises(PlauditError) as caught:
        walk(source, 200)
    text = str(caught.value)
    assert "Counting: environment 1 failed in step at step " in text
    assert "ZeroDivisionError: the wheel came off" in text
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    source.close()


@pytest.mark.parametrize("what", ["reward", "observation"])
@pytest.mark.parametrize("mode", MODES)
def test_a_number_that_is_not_finite_names_the_environment_and_the_step(mode, what):
    source = counting("sync", mode, broken_at=(13, 2), fault=what)
    with pytest.raises(PlauditError, match=f"Counting: environment 2 returned a non-finite {what} at step "):
        walk(source, 100)


def test_a_diverged_policy_is_told_so():
    source = make(Control("Pendulum-v1", 2))
    source.reset(0)
    with pytest.raises(PlauditError, match="environment 1 was given a non-finite action at step 1"):
        source.step(np.array([[0.0], [np.nan]], np.float32))


def test_actions_of_another_shape_or_type_are_refused():
    source = make(Control("CartPole-v1", 2))
    with pytest.raises(PlauditError, match="step before reset"):
        source.step(np.zeros(2, int))
    with pytest.raises(PlauditError, match="snapshot before reset"):
        source.snapshot()
    source.reset(0)
    for wrong in (np.zeros(3, int), np.zeros((2, 1), int), np.zeros(2)):
        with pytest.raises(PlauditError, match="CartPole-v1: actions"):
            source.step(wrong)


class Odd(gymnasium.Env):
    """An environment of unusual spaces."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space


BOX = Box(-1, 1, (2,), np.float32)


@pytest.mark.parametrize(
    ("observed", "acted", "message"),
    [
        (Dict({"a": BOX}), BOX, "observations of the kind Dict of a vector environment.*FlattenObservation"),
        (Discrete(4), BOX, "observations of the kind Discrete of a vector"),
        (Dict({"a": Tuple((BOX, Text(3)))}), BOX, "Odd: observations of the kind Text have no fixed length"),
        (Sequence(BOX), BOX, "kind Sequence have no fixed length"),
        (Graph(BOX, None), BOX, "kind Graph have no fixed length"),
        (BOX, Tuple((Discrete(2), BOX)), "actions of the kind Tuple"),
        (
            BOX,
            Box(0, 3, (2,), np.int64),
            "actions of the kind Box.*Discrete, MultiDiscrete, MultiBinary or a Box of floats",
        ),
    ],
)
def test_unsupported_spaces(observed, acted, message):
    with pytest.raises(PlauditError, match=message):
        Source(SyncVectorEnv([lambda: Odd(observed, acted)]))


def test_a_vector_environment_that_does_not_say_how_it_resets():
    vector = SyncVectorEnv([Counting])
    del vector.metadata["autoreset_mode"]
    with pytest.raises(PlauditError, match="autoreset_mode"):
        Source(vector)


def test_same_step_without_a_final_observation_is_an_error():
    class Forgetful(SyncVectorEnv):
        def step(self, actions):
            *result, infos = super().step(actions)
            infos.pop("final_obs", None)
            return *result, infos

    source = Source(Forgetful([Counting] * 2, autoreset_mode=AutoresetMode.SAME_STEP))
    assert source.resume == "statistical"  # a subclass may hide anything
    with pytest.raises(PlauditError, match="final_obs"):
        walk(source, 20)
