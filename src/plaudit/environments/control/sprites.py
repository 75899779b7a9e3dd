"""Frames side by side on a few pictures: a page can step through them, play them at any speed and keep two in step."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

COLUMNS, ROWS = 8, 8
"""Of a sheet at most: with frames of 240 pixels, well below what phones can hold in a canvas."""


def sheets(frames: np.ndarray) -> list[bytes]:
    """WebP pictures of frames [T, H, W, 3], each with up to 64 of them from left to right and top to bottom."""
    return [_sheet(frames[first : first + COLUMNS * ROWS]) for first in range(0, len(frames), COLUMNS * ROWS)]


def card(frames: np.ndarray, fps: float, names: list[str]) -> dict[str, Any]:
    """How to read the sheets, of which the content hashes are given: plain values, for JSON."""
    count, height, width = frames.shape[:3]
    size = COLUMNS * ROWS
    return {
        "width": width,
        "height": height,
        "frames": count,
        "columns": min(COLUMNS, count),
        "fps": fps,
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
