"""Clips of segments for people who label: pictures as artifacts, and the card that says how to play them."""

from typing import Any

from plaudit.environments.control import rendering, sprites
from plaudit.environments.control.tape import Replay
from plaudit.storage.artifacts import Artifacts

SIZE = (240, 240)
MOST = 64
"""Pictures of a clip: more are no clearer to people, and each takes time to draw."""


def clip(replay: Replay, artifacts: Artifacts) -> dict[str, Any]:
    """Draw a segment and keep its pictures; PlauditError where nothing can be drawn here."""
    steps = len(replay.actions) - replay.first_frame
    every = -(-(steps + 1) // MOST)
    frames = rendering.frames(replay, SIZE, every)
    names = [artifacts.put(sheet) for sheet in sprites.sheets(frames)]
    return sprites.card(frames, rendering.frames_per_second(replay) / every, names)
