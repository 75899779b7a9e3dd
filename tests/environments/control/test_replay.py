"""A replay shows exactly the decisions it is asked for."""

import gymnasium
import numpy as np
import pytest
from counting import Counting, policy
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from plaudit.environments.control.classic import PHYSICS, place
from plaudit.environments.control.make import Control, make
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.vector_env import Source
from plaudit.environments.control.wrappers import Replayable
from plaudit.errors import PlauditError


def watched(replay, env):
    """Observations before each action of the segment and after the last, by a scalar environment."""
    env = Replayable(env)
    if "physics" in replay.start:
        env.reset(seed=0)
        place(env, PHYSICS[replay.environment](), np.array(replay.start["physics"]), replay.start["elapsed"])
        seen = [None]
    else:
        seen = [np.array(env.come_back(replay.start, replay.actions[:0]))]
    for action in replay.actions:
        seen.append(np.array(env.step(action)[0]))
    return seen[replay.first_frame :]


def roll(source, act, before, steps):
    """(acted in [t], step [t]) of a rollout that begins `before` steps after the reset."""
    observations, columns = source.reset(5), []
    for t in range(before + steps):
        if t == before:
            source.recorder.begin_rollout()
        step = source.step(act(observations))
        if t >= before:
            columns.append((observations, step))
        observations = step.observations
    return columns


def check_segments(source, columns, fresh):
    """Every segment of up to 5 steps within an episode replays to what happened; others are refused."""
    shown = refused = 0
    for row in range(source.num_envs):
        for first in range(len(columns)):
            for last in range(first, min(first + 5, len(columns))):
                live = [t for t in range(first, last + 1) if columns[t][1].alive[row]]
                ends = [t for t in live if (columns[t][1].terminated | columns[t][1].truncated)[row]]
                if not live or (ends and ends[0] != live[-1]):
                    with pytest.raises(
                        PlauditError, match="hold no decision" if not live else "cross the end"
                    ):
                        source.recorder.replay(row, first, last)
                    refused += 1
                    continue
                replay = Replay.from_bytes(source.recorder.replay(row, first, last).to_bytes())
                expected = [columns[live[0]][0][row]] + [columns[t][1].successors[row] for t in live]
                seen = watched(replay, fresh())
                assert len(seen) == len(expected) == len(replay.actions) - replay.first_frame + 1
                for a, b in zip(seen, expected, strict=True):
                    if a is not None:
                        np.testing.assert_array_equal(a, b)
                shown += 1
    return shown, refused


@pytest.mark.parametrize("before", [0, 7, 8, 9, 10])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_every_segment_of_a_counting_rollout(mode, before):
    source = Source(SyncVectorEnv([Counting] * 3, autoreset_mode=mode))
    columns = roll(source, policy, before, 25)
    shown, refused = check_segments(source, columns, Counting)
    assert shown > 100 and refused > 50


@pytest.mark.parametrize("id", ["CartPole-v1", "Acrobot-v1", "MountainCarContinuous-v0"])
def test_ours(id):
    source = make(Control(id, 2, kwargs={"max_episode_steps": 30}))
    generator = np.random.default_rng(0)

    def act(observations):
        if id == "MountainCarContinuous-v0":
            return generator.uniform(-1.5, 1.5, (2, 1)).astype(np.float32)
        return generator.integers(0, source.action_space.n, 2)

    columns = roll(source, act, 25, 40)
    shown, refused = check_segments(source, columns, lambda: gymnasium.make(id))
    assert shown > 100 and refused > 5


def test_after_a_restore():
    first, second = (make(Control("CartPole-v1", 2, "sync", "next_step")) for _ in range(2))
    first.reset(0)
    generator = np.random.default_rng(0)
    while not first.pending.any():
        first.step(generator.integers(0, 2, 2))
    second.restore(first.snapshot())
    for source in (first, second):
        source.recorder.begin_rollout()
        for t in range(6):
            source.step(np.full(2, t % 2))
    waited = int(np.flatnonzero(first.snapshot()["lengths"] < 10)[0])  # dead at step 0: five decisions since
    a, b = (source.recorder.replay(waited, 0, 5) for source in (first, second))
    assert a.to_bytes() == b.to_bytes() and len(a.actions) == 5 and a.first_frame == 0


def test_outside_the_rollout():
    source = make(Control("CartPole-v1", 1))
    source.reset(0)
    with pytest.raises(PlauditError, match="steps 0 to 0 lie outside the rollout's 0"):
        source.recorder.replay(0, 0, 0)
    source.recorder.begin_rollout()
    source.step(np.array([1]))
    source.recorder.replay(0, 0, 0)
    for first, last in ((0, 1), (-1, 0), (1, 0)):
        with pytest.raises(PlauditError, match="lie outside the rollout's 1"):
            source.recorder.replay(0, first, last)


def test_what_cannot_be_replayed_says_so():
    source = make(Control("CartPole-v1", 2, "vector_entry_point"))
    source.reset(0)
    source.recorder.begin_rollout()
    source.step(np.zeros(2, int))
    with pytest.raises(PlauditError, match="cannot be replayed.*vectorization: sync"):
        source.recorder.replay(0, 0, 0)


def test_bytes_round_trip_and_damage():
    replay = Replay("Some-v0", {"g": 9.81, "name": "é"}, {"seed": 2**40}, np.ones((3, 2), np.float32), 1)
    data = replay.to_bytes()
    again = Replay.from_bytes(data)
    assert again.to_bytes() == data and again.kwargs == replay.kwargs and again.start == replay.start
    np.testing.assert_array_equal(again.actions, replay.actions)
    assert again.actions.dtype == np.float32 and again.first_frame == 1
    for wrong in (b"", b"PK", data[:-30], np.zeros(3).tobytes()):
        with pytest.raises(PlauditError, match="not a replay"):
            Replay.from_bytes(wrong)
    with pytest.raises(PlauditError, match="kwargs cannot be stored"):
        Replay("Some-v0", {"f": print}, {}, np.zeros(1), 0).to_bytes()
