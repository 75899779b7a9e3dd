"""Prompts in an order of their own: each once, then all again in a fresh order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from plaudit.errors import PlauditError


@dataclass(frozen=True)
class Prompt:
    """What an answer is wanted to."""

    tokens: tuple[int, ...]
    """What the model reads."""
    text: str
    """The same, for people and reward functions."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Whatever else its row holds."""
    messages: tuple[dict[str, str], ...] | None = None
    """The turns of a conversation, where it is one."""


class PromptQueue:
    """Gives the next prompts; goes on exactly where a saved one stood."""

    def __init__(self, prompts: Sequence[Prompt], generator: torch.Generator):
        if not prompts:
            raise PlauditError("prompts: there are none; give at least one")
        self.prompts, self.generator = list(prompts), generator
        self.waiting: Int[Tensor, "W"] = torch.empty(0, dtype=torch.long)

    def take(self, count: int) -> Int[Tensor, "count"]:
        """The places of the next `count` prompts; more than there are begin again."""
        passes = max(0, -(-(count - len(self.waiting)) // len(self.prompts)))
        fresh = [torch.randperm(len(self.prompts), generator=self.generator) for _ in range(passes)]
        waiting = torch.cat([self.waiting, *fresh])
        taken, self.waiting = waiting[:count], waiting[count:]
        return taken

    def state_dict(self) -> dict[str, Any]:
        """Where it stands."""
        return {"waiting": self.waiting.clone(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; PlauditError where there are fewer prompts than when it was saved."""
        if len(state["waiting"]) and int(state["waiting"].max()) >= len(self.prompts):
            raise PlauditError(
                f"prompts: there are {len(self.prompts)}, fewer than when they were saved; put them back as they were"
            )
        self.waiting = state["waiting"].clone()
        self.generator.set_state(state["generator"])
