"""Pictures of behaviour for people: a replayed segment as frames, and frames as an animated WebP."""

import os
import sys
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator
from gymnasium.error import DependencyNotInstalled
from PIL import Image

from plaudit.environments.control.classic import PHYSICS, place
from plaudit.environments.control.make import find
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.wrappers import Replayable
from plaudit.errors import PlauditError

COLUMNS, ROWS = 8, 8
"""Of a sheet at most: with frames of 240 pixels, well below what phones can hold in a canvas."""


def sheets(frames: np.ndarray) -> list[bytes]:
    """WebP pictures of frames [T, H, W, 3], each with up to 64 of them from left to right and top to bottom."""
    return [_sheet(frames[first : first + COLUMNS * ROWS]) for first in range(0, len(frames), COLUMNS * ROWS)]


@dataclass(frozen=True)
class End:
    """Where an episode ends in a clip."""

    how: Literal["terminated", "time_limit"]
    """The task was over, or only the time for it."""
    frame: int
    """The first picture that shows it."""


@dataclass(frozen=True)
class Film:
    """Pictures of a segment."""

    frames: np.ndarray
    """uint8 [F, H, W, 3]."""
    fps: float
    """Pictures per second at which it looks natural."""
    end: End | None
    """None: the episode goes on."""


def card(film: Film, names: list[str]) -> dict[str, Any]:
    """How to read the sheets, of which the content hashes are given: plain values, for JSON."""
    count, height, width = film.frames.shape[:3]
    size = COLUMNS * ROWS
    return {
        "width": width,
        "height": height,
        "frames": count,
        "columns": min(COLUMNS, count),
        "fps": film.fps,
        "end": None if film.end is None else asdict(film.end),
        "sheets": [
            {"sha256": name, "first": i * size, "frames": min(size, count - i * size)}
            for i, name in enumerate(names)
        ],
    }


def _sheet(frames: np.ndarray) -> bytes:
    count, height, width, _ = frames.shape
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    picture = np.zeros((rows * height, columns * width, 3), dtype=np.uint8)
    for number, frame in enumerate(frames):
        row, column = divmod(number, columns)
        picture[row * height : (row + 1) * height, column * width : (column + 1) * width] = frame
    file = BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=80, method=2)
    return file.getvalue()


WARM_UP = 10
"""Pictures drawn and thrown away before a segment: LunarLander's smoke fades by pictures, not by steps."""


def frames(replay: Replay, size: tuple[int, int] = (240, 240), every: int = 1) -> np.ndarray:
    """The pictures of a segment's film, see there."""
    return film(replay, size, every).frames


def film(replay: Replay, size: tuple[int, int] = (240, 240), every: int = 1) -> Film:
    """T + 1 pictures of a segment of T decisions: before its first action and after each.

    Or of these every second, third ... alone, and the last one.

    `size` is the largest width and height; the shape of the picture is kept. After the end of an episode
    (absorbed environments go on) the last picture stays. PlauditError where nothing can be drawn here.
    """
    _without_a_screen()
    env = _make(replay)
    _sketch(env, size)
    pictures: list[np.ndarray] = []
    final, end = None, None
    try:
        _begin(env, replay)
        for number, action in enumerate(replay.actions):
            if number >= replay.first_frame and (number - replay.first_frame) % every == 0:
                pictures.append(_picture(env, replay, size) if final is None else final)
            elif number >= replay.first_frame - WARM_UP and hasattr(env.unwrapped, "particles"):
                env.render()
            if final is None:
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    final = _picture(env, replay, size)
                    end = End("terminated" if terminated else "time_limit", len(pictures))
        pictures.append(_picture(env, replay, size) if final is None else final)
        return Film(np.stack(pictures), _fps(env) / every, end)
    finally:
        env.close()


def animation(frames: np.ndarray, fps: float | int) -> bytes:
    """An animated WebP, repeated for ever, of frames [T, H, W, 3]."""
    first, *others = (Image.fromarray(frame) for frame in frames)
    file = BytesIO()
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=round(1000 / fps),
        loop=0,
        quality=80,
        method=4,
    )
    return file.getvalue()


def frames_per_second(replay: Replay) -> float:
    """The speed at which this environment looks natural, by its own account; 30 where it gives none."""
    entry = find(replay.environment).entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    told = (getattr(creator, "metadata", None) or {}).get("render_fps")
    if told:
        return float(told)
    env = _make(replay, None)  # MuJoCo's say it of each that is made
    try:
        return _fps(env)
    finally:
        env.close()


def _fps(env: gymnasium.Env) -> float:
    return float((env.unwrapped.metadata or {}).get("render_fps") or 30)


def _without_a_screen() -> None:
    """Defaults for machines without a display; whoever set these variables is obeyed."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")


def _make(replay: Replay, render_mode: str | None = "rgb_array") -> Replayable:
    spec = find(replay.environment)
    kwargs = {name: value for name, value in replay.kwargs.items() if name != "render_mode"}
    try:
        env = gymnasium.make(spec, render_mode=render_mode, disable_env_checker=True, **kwargs)
    except Exception as error:
        raise _cannot(replay, error) from error
    return Replayable(env)


def _sketch(env: gymnasium.Env, size: tuple[int, int]) -> None:
    """Have MuJoCo draw no more than is shown, and neither shadows nor reflections: seven times as fast in software."""
    renderer: Any = getattr(env.unwrapped, "mujoco_renderer", None)
    if renderer is None:
        return
    scale = min(size[0] / renderer.width, size[1] / renderer.height, 1.0)
    renderer.width, renderer.height = round(scale * renderer.width), round(scale * renderer.height)
    model: Any = env.unwrapped.model  # type: ignore[attr-defined]
    model.mat_reflectance[:] = 0
    model.light_castshadow[:] = False


def _begin(env: Replayable, replay: Replay) -> None:
    if "physics" in replay.start:
        env.reset(seed=0)
        physics = PHYSICS[replay.environment]()
        place(env, physics, np.array(replay.start["physics"]), replay.start["elapsed"])
    else:
        env.come_back(replay.start, replay.actions[:0])


def _picture(env: Replayable, replay: Replay, size: tuple[int, int]) -> np.ndarray:
    try:
        pixels: Any = env.render()
    except Exception as error:
        raise _cannot(replay, error) from error
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 3:
        raise PlauditError(
            f"{replay.environment} draws no pictures (render_mode rgb_array); label it by its numbers"
        )
    image = Image.fromarray(pixels.astype(np.uint8))
    image.thumbnail(size, Image.Resampling.LANCZOS, reducing_gap=1.0)  # whole factors first: much faster
    return np.asarray(image)


def _cannot(replay: Replay, error: Exception) -> PlauditError:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, DependencyNotInstalled | ModuleNotFoundError):
        return PlauditError(f"{replay.environment} cannot be drawn ({said}); pip install 'plaudit[control]'")
    return PlauditError(
        f"{replay.environment} cannot be drawn on this machine ({said}); MuJoCo needs a working OpenGL: "
        "install EGL or OSMesa and set the environment variable MUJOCO_GL to egl or osmesa"
    )
