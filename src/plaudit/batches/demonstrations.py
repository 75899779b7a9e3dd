"""Demonstrations: behaviour to imitate; which decisions of a record count."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool
from torch import Tensor


@dataclass(frozen=True)
class Demonstrations:
    """Recorded decisions of a demonstrator."""

    mask: Bool[Tensor, "B T"]
    """A decision to imitate; not padding, not a prompt."""
    record: Any
    """Opaque above `models`: observations and actions, or token ids."""
