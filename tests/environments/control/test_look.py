"""What is seen of an environment: counted again by hand, in loops over one environment at a time."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from plaudit.environments.control.look import ENVS, EPISODES, MOST, SEED, look, refuse_undrawn
from plaudit.environments.control.make import Control
from plaudit.errors import PlauditError
from tests.cli.two_goals import Table

CLOCK = """
import gymnasium, numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Text

class Clock(gymnasium.Env):
    '''Terminates after so many steps, truncates after so many others, and pays one amount.'''

    def __init__(self, ends=None, cut=None, observed="box", acts="discrete"):
        self.ends, self.cut = ends, cut
        self.observation_space = {"box": Box(0, 1, (2, 3), np.float32), "words": Dict({"a": Text(2)})}[observed]
        self.action_space = {"discrete": Discrete(2), "box": Box(-1, 1, (2,), np.float32), "odd": Text(2)}[acts]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros((2, 3), np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros((2, 3), np.float32), -1.0, self.steps == self.ends, self.steps == self.cut, {}
"""


@pytest.fixture
def clock(tmp_path: Path) -> str:
    path = tmp_path / "clock.py"
    path.write_text(CLOCK, encoding="utf-8")
    return f"{path}:Clock"


def test_episodes_as_counted_one_by_one() -> None:
    seen = look(Control("tests.cli.two_goals:Table"))
    envs, space = [Table() for _ in range(ENVS)], Table().action_space
    space.seed(SEED)
    for i, env in enumerate(envs):
        env.reset(seed=SEED + i)
    lengths, running, paid = [[] for _ in envs], [0] * ENVS, set()
    steps = 0
    while steps < MOST and min(map(len, lengths)) < EPISODES:
        steps += 1
        actions = [space.sample() for _ in envs]
        for i, env in enumerate(envs):
            _, reward, terminated, _, _ = env.step(actions[i])
            running[i] += 1
            paid.add(reward)
            if terminated:
                lengths[i].append(running[i])
                running[i] = 0
                env.reset()
    assert seen.lengths == tuple(one for row in lengths for one in row) and seen.steps == steps
    assert seen.terminated == len(seen.lengths) and seen.truncated == 0
    assert seen.rewards == (min(paid), max(paid)) == (0.0, 1.0)
    assert (seen.observation, seen.actions, seen.limit, seen.same) == (4, "discrete", None, False)
    assert look(Control("tests.cli.two_goals:Table")) == seen  # the same again


@pytest.mark.parametrize(
    ("kwargs", "lengths", "terminated", "limit"),
    [
        ({"ends": 7}, (7,) * 24, 24, None),
        ({"cut": 7}, (7,) * 24, 0, None),
        ({"max_episode_steps": 9}, (9,) * 24, 0, 9),
        ({"ends": 7, "cut": 7}, (7,) * 24, 24, None),
        ({}, (), 0, None),
        ({"acts": "box", "ends": 400}, (400,) * 16, 16, None),
    ],
)
def test_how_episodes_end(
    clock: str, kwargs: dict, lengths: tuple[int, ...], terminated: int, limit: int | None
) -> None:
    seen = look(Control(clock, kwargs=kwargs))
    assert (seen.lengths, seen.terminated, seen.limit) == (lengths, terminated, limit)
    assert seen.rewards == (-1.0, -1.0) and seen.same and seen.observation == 6
    assert seen.steps == (3 * lengths[0] if len(lengths) == 24 else MOST)
    assert seen.actions == ("continuous" if kwargs.get("acts") == "box" else "discrete")


def test_one_reward_and_lengths_that_differ_are_something_to_learn_from() -> None:
    seen = look(Control("CartPole-v1"))
    assert seen.rewards == (1.0, 1.0) and not seen.same and seen.limit == 500


def test_what_the_config_says_of_episodes_is_left_aside() -> None:
    """A horizon that is fixed hides how episodes end, and processes of their own only take time."""
    odd = Control("CartPole-v1", 3, "async", horizon="fixed", group=3)
    assert look(odd).lengths and look(odd).terminated == len(look(odd).lengths)


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"observed": "words"}, "observations of the kind Text have no fixed length; wrap"),
        ({"acts": "odd"}, "actions of the kind Text.* are not supported; wrap"),
        ({"sise": 3}, "could not be made .*sise.*; correct environment.kwargs"),
    ],
)
def test_what_cannot_be_learned_in(clock: str, kwargs: dict, sentence: str) -> None:
    with pytest.raises(PlauditError, match=sentence):
        look(Control(clock, kwargs=kwargs))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("self.steps += 1", "raise KeyError('wheel')", "failed in step at step 1: KeyError: 'wheel'; mend"),
        ("self.steps = 0", "raise KeyError('wheel')", "failed in reset at step 0: KeyError: 'wheel'; mend"),
        ("-1.0, self", "float('nan'), self", "returned a non-finite reward at step 1; mend the environment"),
    ],
)
def test_what_raises(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    (tmp_path / "bad.py").write_text(CLOCK.replace(old, new), encoding="utf-8")
    with pytest.raises(PlauditError, match=sentence):
        look(Control(f"{tmp_path}/bad.py:Clock"))


def test_clips_for_people(clock: str) -> None:
    refuse_undrawn(Control("CartPole-v1"))
    with pytest.raises(PlauditError, match=r"feedback.people: .*Clock draws none; give it .*render_mode"):
        refuse_undrawn(Control(clock))


def test_a_look_leaves_no_trace() -> None:
    """Neither what others draw nor a registry changes."""
    before, known = np.random.get_state()[1].tolist(), set(gymnasium.registry)
    look(Control("tests.cli.two_goals:Table"))
    assert np.random.get_state()[1].tolist() == before and set(gymnasium.registry) == known
