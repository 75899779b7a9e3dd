"""Pictures of replays are the pictures of the behaviour itself."""

import io
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from PIL import Image

from plaudit.environments.control.make import Control, make
from plaudit.environments.control.rendering import End, animation, film, frames, frames_per_second
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.wrappers import to_environment
from plaudit.errors import PlauditError


def recorded(id, vectorization="auto", first=4, last=9, **kwargs):
    """A replay of environment 1 of 2, and the pictures a scalar environment of its seed draws on the way."""
    source = make(Control(id, 2, vectorization, kwargs=kwargs))
    env = gymnasium.make(id, render_mode="rgb_array", **kwargs)
    generator, pictures = np.random.default_rng(0), []
    source.reset(30), env.reset(seed=31)
    for t in range(3 + last + 1):
        if t == 3:
            source.recorder.begin_rollout()
        if hasattr(source.action_space, "n"):
            actions = generator.integers(0, source.action_space.n, 2)
        else:
            actions = to_environment(
                generator.uniform(-1, 1, (2, *source.action_space.shape)), source.action_space
            )
        pictures.append(env.render())
        source.step(actions), env.step(actions[1])
    pictures.append(env.render())
    env.close()
    return source.recorder.replay(1, first, last), pictures[3 + first :]


@pytest.mark.parametrize("vectorization", ["numpy", "sync"])
@pytest.mark.parametrize(
    "id", ["CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0"]
)
def test_classics(id, vectorization):
    pytest.importorskip("pygame")
    replay, expected = recorded(id, vectorization)
    drawn = frames(Replay.from_bytes(replay.to_bytes()), size=(10_000, 10_000))
    assert drawn.dtype == np.uint8 and len(drawn) == 7
    np.testing.assert_array_equal(drawn, np.stack(expected))
    small = frames(replay, size=(120, 100))
    height, width = expected[0].shape[:2]
    assert (
        small.shape[1] <= 100
        and small.shape[2] <= 120
        and 100 * 120 in (small.shape[1] * 120, 100 * small.shape[2])
    )
    assert abs(small.shape[2] / small.shape[1] - width / height) < 0.02


def test_lunar_lander():
    pytest.importorskip("Box2D")
    replay, expected = recorded("LunarLander-v3")
    np.testing.assert_array_equal(frames(replay, (600, 400)), np.stack(expected))


def test_hopper_is_drawn_or_says_what_is_missing():
    pytest.importorskip("mujoco")
    source = make(Control("Hopper-v5", 1))
    source.reset(0)
    source.recorder.begin_rollout()
    for _ in range(3):
        source.step(np.zeros((1, 3), np.float32))
    try:
        drawn = frames(source.recorder.replay(0, 0, 2), (100, 100))
    except PlauditError as error:
        assert "MUJOCO_GL" in str(error)
        pytest.skip(f"no OpenGL here: {error}")
    assert drawn.shape == (4, 100, 100, 3) and drawn.std() > 10


NO_GL = """
import numpy as np
from plaudit.environments.control.rendering import frames
from plaudit.environments.control.replay import Replay
from plaudit.errors import PlauditError
try:
    frames(Replay("Hopper-v5", {}, {"seed": 1}, np.zeros((2, 3), np.float32), 0))
except PlauditError as error:
    print("told:", error)
"""


def test_without_opengl_one_sentence_says_so():
    pytest.importorskip("mujoco")
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NO_GL],
        env={"MUJOCO_GL": "glfw", "PYTHONPATH": ":".join(sys.path), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    if not result.stdout:
        pytest.skip("a window opened: this machine has a display")
    assert "told: Hopper-v5 cannot be drawn on this machine" in result.stdout
    assert "MUJOCO_GL to egl or osmesa" in result.stdout


def test_the_last_picture_stays_after_the_end():
    """A fixed horizon goes on after the fall."""
    pytest.importorskip("pygame")
    source = make(Control("CartPole-v1", 1, "sync", horizon="fixed", kwargs={"max_episode_steps": 30}))
    source.reset(0)
    source.recorder.begin_rollout()
    fallen = None
    for t in range(30):
        step = source.step(np.array([1]))
        if fallen is None and step.rewards[0] == 0:
            fallen = t
    drawn = frames(source.recorder.replay(0, 0, 29), (100, 100))
    assert len(drawn) == 31 and fallen is not None
    assert (drawn[fallen:] == drawn[fallen]).all() and (drawn[fallen] != drawn[fallen - 1]).any()


@pytest.mark.filterwarnings("ignore")
def test_an_environment_without_pictures():
    gymnasium.register("Blind-v0", "counting:Counting", max_episode_steps=10)
    replay = Replay("Blind-v0", {}, {"seed": 0}, np.zeros(2, np.int64), 0)
    with pytest.raises(PlauditError, match="Blind-v0"):
        frames(replay)
    with pytest.raises(PlauditError, match="no environment 'Nowhere-v9'"):
        frames(Replay("Nowhere-v9", {}, {"seed": 0}, np.zeros(2, np.int64), 0))


def test_animation_is_a_looping_webp():
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 255, (5, 40, 60, 3)).astype(np.uint8)
    image = Image.open(io.BytesIO(animation(pictures, fps=25)))
    assert (
        image.format == "WEBP" and image.n_frames == 5 and image.size == (60, 40) and image.info["loop"] == 0
    )
    image.seek(1)
    image.load()
    assert image.info["duration"] == 40
    assert Image.open(io.BytesIO(animation(pictures[:1], fps=25))).size == (60, 40)


def test_frames_per_second_is_the_environments():
    for id, fps in (("CartPole-v1", 50), ("Acrobot-v1", 15), ("Pendulum-v1", 30)):
        assert frames_per_second(Replay(id, {}, {}, np.zeros(0), 0)) == fps


def test_robots_run_as_fast_as_they_are():
    """MuJoCo's say how fast they are only once they are made."""
    pytest.importorskip("mujoco")
    env = gymnasium.make("Hopper-v5")
    seconds = env.unwrapped.dt  # of a step
    env.close()
    assert frames_per_second(Replay("Hopper-v5", {}, {}, np.zeros(0), 0)) == pytest.approx(1 / seconds)


@pytest.mark.parametrize(("every", "fps"), [(1, 50.0), (2, 25.0), (3, 50 / 3)])
@pytest.mark.parametrize("vectorization", ["numpy", "sync"])
def test_a_film_tells_where_the_episode_ends_and_runs_as_time_does(vectorization, every, fps):
    pytest.importorskip("pygame")
    falls, fallen = pushed(vectorization, 500)
    over, limit = pushed(vectorization, 6)
    assert 7 < fallen < 20 and limit == 6
    for replay, steps, how in ((falls, fallen, "terminated"), (over, limit, "time_limit")):
        seen = film(replay, (60, 60), every)
        assert seen.fps == pytest.approx(fps)
        # pictures of steps 0, every, 2 every ... before the last one, and of the last one
        count = len(range(0, steps, every)) + 1
        assert len(seen.frames) == count and seen.end == End(how, count - 1)
    part = Replay(falls.environment, falls.kwargs, falls.start, falls.actions[:-1], 2)
    assert film(part, (60, 60), every).end is None


def pushed(vectorization, limit):
    """CartPole pushed to one side: its replay from start to end, and how many steps that is."""
    source = make(Control("CartPole-v1", 1, vectorization, kwargs={"max_episode_steps": limit}))
    source.reset(0)
    source.recorder.begin_rollout()
    for steps in range(1, 100):
        step = source.step(np.array([1]))
        if step.terminated[0] or step.truncated[0]:
            return source.recorder.replay(0, 0, steps - 1), steps
    raise AssertionError("it never fell")


def test_with_a_fixed_horizon_the_end_is_where_it_fell():
    pytest.importorskip("pygame")
    _, fallen = pushed("sync", 30)
    source = make(Control("CartPole-v1", 1, "sync", horizon="fixed", kwargs={"max_episode_steps": 30}))
    source.reset(0)
    source.recorder.begin_rollout()
    for _ in range(30):
        source.step(np.array([1]))
    assert film(source.recorder.replay(0, 0, 29), (60, 60)).end == End("terminated", fallen)
    assert film(source.recorder.replay(0, fallen - 2, 29), (60, 60)).end == End("terminated", 2)
