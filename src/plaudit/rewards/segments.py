"""Segments of control behaviour: cut, kept as artifacts, drawn as clips for people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from plaudit.environments.control import rendering, sprites
from plaudit.environments.control.replay import Replay
from plaudit.errors import PlauditError
from plaudit.feedback.rating import USUAL_SCALE
from plaudit.models.transitions import Transitions
from plaudit.rewards.learned.loop import Wanted
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.store import NewQuery


@dataclass(frozen=True)
class Window:
    """Where a segment lies in a rollout."""

    row: int
    start: int
    length: int

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.start, self.start + self.length)


def cut(record: Transitions, window: Window) -> Transitions:
    """The segment alone, [1, L, ...]."""
    pieces = {
        field.name: getattr(record, field.name)[window.row : window.row + 1, window.columns]
        for field in fields(record)
    }
    return Transitions(**pieces)


def to_bytes(segment: Transitions) -> bytes:
    """A segment as a safetensors file; equal segments give equal bytes."""
    return save({field.name: getattr(segment, field.name)[0].contiguous() for field in fields(segment)})


def from_bytes(data: bytes) -> Transitions:
    """A segment back from its file, [1, L, ...]."""
    try:
        tensors: dict[str, Tensor] = load(data)
        return Transitions(**{name: tensor.unsqueeze(0) for name, tensor in tensors.items()})
    except (SafetensorError, TypeError) as error:
        raise PlauditError(
            f"an artifact is not a control segment ({error}); restore it from a copy"
        ) from None


def stack(segments: list[Transitions]) -> tuple[Transitions, Tensor]:
    """Segments side by side [P, L, ...] with their mask [P, L]; shorter ones are padded with zeros at the end."""
    length = max(segment.observations.shape[1] for segment in segments)
    padded = {
        field.name: torch.cat([_pad(getattr(segment, field.name), length) for segment in segments])
        for field in fields(Transitions)
    }
    lengths = torch.tensor([segment.observations.shape[1] for segment in segments])
    return Transitions(**padded), torch.arange(length) < lengths[:, None]


def _pad(tensor: Tensor, length: int) -> Tensor:
    missing = length - tensor.shape[1]
    return torch.cat([tensor, tensor.new_zeros(1, missing, *tensor.shape[2:])], dim=1) if missing else tensor


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


class SegmentStore:
    """The segments people are asked about, as artifacts."""

    def __init__(
        self, artifacts: Artifacts, replay: Callable[[Window], Replay] | None = None, drawn: bool = False
    ):
        self.artifacts = artifacts
        self.replay = replay
        """What it takes to show a segment of the latest rollout to a person; none: nothing is kept for showing."""
        self.drawn = drawn
        """Draw clips of the segments: for people who will look at them."""
        self.loaded: dict[str, Transitions] = {}

    def question(
        self, wanted: Wanted, tick: int, record: Transitions, places: Sequence[Window], said: dict[str, Any]
    ) -> NewQuery:
        """A question about segments of the latest rollout; stores what it is about. `said`: words for people."""
        items = tuple(self.artifacts.put(to_bytes(cut(record, place))) for place in places)
        payload: dict[str, Any] = dict(said)
        if self.replay is not None:
            replays = [self.replay(place) for place in places]
            payload["replays"] = [self.artifacts.put(replay.to_bytes()) for replay in replays]
            if self.drawn:
                payload["clips"] = [clip(replay, self.artifacts) for replay in replays]
        if wanted.kind == "rating":
            payload["scale"] = USUAL_SCALE
        return NewQuery(wanted.key, wanted.kind, items, tick, payload, purpose=wanted.purpose)

    def segment(self, item: str) -> Transitions:
        """A segment [1, L, ...] by its content hash."""
        if item not in self.loaded:
            self.loaded[item] = from_bytes(self.artifacts.get(item))
        return self.loaded[item]

    def gold_rewards(self, item: str) -> np.ndarray:
        """What the environment paid on a segment: for simulated people only."""
        return self.segment(item).environment_rewards[0].numpy()
