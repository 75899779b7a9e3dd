"""Sheets of frames: every frame is where the card says, and looks as it did."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from plaudit.environments.control import rendering


def moving(count: int, height: int = 24, width: int = 40) -> np.ndarray:
    """A bright square that moves."""
    frames = np.zeros((count, height, width, 3), dtype=np.uint8)
    for number, frame in enumerate(frames):
        left = number * 3 % (width - 8)
        frame[4:12, left : left + 8] = (40 + number % 200, 200, 90)
    return frames


@pytest.mark.parametrize("count", [1, 5, 8, 9, 64, 65, 130])
def test_every_frame_is_where_the_card_says(count: int) -> None:
    frames = moving(count)
    sheets = rendering.sheets(frames)
    film = rendering.Film(frames, 12.5, rendering.End("time_limit", count - 1))
    card = rendering.card(film, [str(i) for i in range(len(sheets))])
    assert card["end"] == {"how": "time_limit", "frame": count - 1}
    assert (card["frames"], card["width"], card["height"], card["fps"]) == (count, 40, 24, 12.5)
    assert [sheet["sha256"] for sheet in card["sheets"]] == [str(i) for i in range(len(sheets))]
    seen = 0
    for sheet, content in zip(card["sheets"], sheets, strict=True):
        picture = np.asarray(Image.open(BytesIO(content)).convert("RGB"))
        assert content[:4] == b"RIFF" and sheet["first"] == seen
        for number in range(sheet["frames"]):
            row, column = divmod(number, card["columns"])
            found = picture[row * 24 : (row + 1) * 24, column * 40 : (column + 1) * 40]
            wanted = frames[sheet["first"] + number]
            assert np.abs(found.astype(int) - wanted.astype(int)).mean() < 6  # WebP is lossy
        seen += sheet["frames"]
    assert seen == count


def test_equal_frames_give_equal_bytes() -> None:
    assert rendering.sheets(moving(20)) == rendering.sheets(moving(20))
