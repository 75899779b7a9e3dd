"""Segments of control behaviour as artifacts: what is shown to people, and what their answers are about."""

from dataclasses import dataclass, fields

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from plaudit.errors import PlauditError
from plaudit.models.transitions import Transitions


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
