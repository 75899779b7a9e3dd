"""Environments that nobody has registered: found by their place, by another process too, and what is no environment."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from plaudit.environments.control import rendering
from plaudit.environments.control.config import absolute, in_file
from plaudit.environments.control.make import Control, find, make
from plaudit.environments.control.replay import Replay
from plaudit.errors import PlauditError
from tests.cli.two_goals import Table

TABLE = "tests.cli.two_goals:Table"
FILE = Path(__file__).parents[2] / "cli" / "two_goals.py"
PAINTED = """
import gymnasium, numpy as np
from gymnasium.spaces import Box, Discrete

class Painted(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 7}

    def __init__(self, render_mode=None, size=1):
        self.render_mode, self.size = render_mode, size
        self.observation_space, self.action_space = Box(-1, 1, (size,), np.float32), Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = self.np_random.uniform(-1, 1, self.size).astype(np.float32)
        return self.at, {}

    def step(self, action):
        return self.at, float(action), False, False, {}

    def render(self):
        return np.full((4, 4, 3), int(100 * (1 + self.at[0])), np.uint8)

class Plain: pass
class _Both(Painted): pass
three = 3
def number(): return 3
def limited(): return gymnasium.wrappers.TimeLimit(Painted(), 5)
"""


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    path = tmp_path / "painted.py"
    path.write_text(PAINTED, encoding="utf-8")
    return path


@pytest.mark.parametrize("place", [TABLE, f"{FILE}:Table", f"{FILE}:turned"])
def test_it_steps_as_the_class_itself(place: str) -> None:
    """Seeded alike, the one behind a `Source` does what the class does when nothing is around it."""
    source = make(Control(place, 1, kwargs={"max_episode_steps": 30}))
    bare = Table(wanted=int(place.endswith("turned")))
    np.testing.assert_array_equal(source.reset(5)[0], bare.reset(seed=5)[0])
    for number in range(30):
        step = source.step(np.array([number % 5]))
        seen, reward, terminated, _, _ = bare.step(number % 5)
        np.testing.assert_array_equal(step.successors[0], seen)
        assert (step.rewards[0], step.terminated[0]) == (reward, terminated)
        assert step.truncated[0] == (number == 29)
    assert source.horizon == 30 and source.resume == "exact"


def test_by_its_place_it_is_found_again(painted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(painted.parent)
    place = absolute("./painted.py:Painted")
    assert place == f"{painted.parent}/painted.py:Painted" and in_file(place)
    assert absolute("CartPole-v1") == "CartPole-v1" and absolute(TABLE) == TABLE and not in_file(TABLE)
    assert absolute("gone.py:X") == "gone.py:X"
    monkeypatch.chdir("/")
    assert find(place).entry_point is find(place).entry_point  # one class, so that two of it are of a kind
    assert "Painted" not in gymnasium.registry


def test_other_processes_find_it(painted: Path) -> None:
    source = make(Control(f"{painted}:Painted", 2, "async", kwargs={"size": 3}))
    assert type(source.vector) is AsyncVectorEnv and source.reset(0).shape == (2, 3)
    source.close()


def test_a_clip_is_drawn_by_the_place_alone(painted: Path) -> None:
    place = f"{painted}:Painted"
    source = make(Control(place, 1))
    assert source.name == place
    start = source.reset(3)[0]
    replay = Replay.from_bytes(Replay(source.name, {}, {"seed": 3}, np.array([0, 1, 1]), 1).to_bytes())
    frames = rendering.frames(replay)
    assert frames.shape == (3, 4, 4, 3) and (frames == int(100 * (1 + start[0]))).all()
    assert rendering.frames_per_second(replay) == 7


def test_a_registered_name_keeps_its_meaning() -> None:
    source = make(Control("tests.cli.broken_environments:None-v0", 1))
    assert source.name == "None-v0" and type(source.vector) is SyncVectorEnv


def test_a_function_may_wrap(painted: Path) -> None:
    source = make(Control(f"{painted}:limited", 1))
    source.reset(0)
    assert [bool(source.step(np.array([0])).truncated[0]) for _ in range(5)] == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("nowhere:Env", "the module of 'nowhere:Env' cannot be imported .*; install it or correct the id"),
        ("tests.cli.two_goals:Tabel", "there is no environment .*; did you mean 'Table'"),
        (
            "tests.cli.two_goals:GOALS",
            "is of the kind ndarray; give a subclass of gymnasium.Env or a function",
        ),
        ("gone.py:Env", "there is no file 'gone.py'; give an environment as path/to/file.py:Env"),
        ("gone.py", "there is no file 'gone.py'"),
        ("{painted}:Paintd", "`Paintd` is not in .*; give .*painted.py:Painted"),
        ("{painted}", "which class of the file is meant is not said; give .*painted.py:Painted"),
        ("{painted}:Plain", "painted.py:Plain is a class, but no gymnasium.Env; give a subclass"),
        ("{painted}:three", "painted.py:three is of the kind int; give"),
        ("{painted}:number", "painted.py:number returns what is of the kind int; give"),
    ],
)
def test_what_is_no_environment(place: str, sentence: str, painted: Path) -> None:
    with pytest.raises(PlauditError, match=f"environment.id: .*{sentence}"):
        make(Control(place.format(painted=painted), 1))


@pytest.mark.parametrize("text", ["raise OSError('no\\nlicence')", "import sys; sys.exit(3)", "def f(:"])
def test_files_that_cannot_be_imported(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_file.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for place in (f"{tmp_path}/broken_file.py:Env", "broken_file:Env"):
        with pytest.raises(
            PlauditError, match="environment.id: importing .*broken_file.* raised .*; mend"
        ) as e:
            find(place)
        assert "\n" not in str(e.value)


def test_a_module_beside_is_a_file(painted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(painted.parent)
    with pytest.raises(PlauditError, match=r"cannot be imported .*; give the file: \./painted.py:Painted"):
        find("painted:Painted")


def test_arguments_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text(
        PAINTED.replace("render_mode=None, size=1", "size, render_mode=None"), encoding="utf-8"
    )
    with pytest.raises(PlauditError, match="missing 1 required .*size.*; correct environment.kwargs"):
        make(Control(f"{tmp_path}/needy.py:Painted", 1))
    assert make(Control(f"{tmp_path}/needy.py:Painted", 1, kwargs={"size": 2})).reset(0).shape == (1, 2)
