"""Prompts in an order of their own (each once, then all again in a fresh order), and answers to them."""

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Answers:
    """B answers to prompts, as texts and as the very tokens that were sampled."""

    prompts: tuple[str, ...]
    """The rendered prompts, what the model read."""
    completions: tuple[str, ...]
    """The decoded answers, without stop or padding tokens."""
    tokens: tuple[tuple[int, ...], ...]
    """The token ids of each answer, one per decision, the stop token included."""
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Further columns of the prompts' rows, such as a label to compare with; each of length B."""
    messages: tuple[tuple[dict[str, str], ...], ...] | None = None
    """Conversational prompts as messages (role, content), where the data has them."""

    def __post_init__(self) -> None:
        """Raise PlauditError where a field or a column does not have one entry per prompt."""
        known = {"completions": self.completions, "tokens": self.tokens, "messages": self.messages}
        named = {name: values for name, values in known.items() if values is not None}
        for name, values in (named | {f"column {name!r}": v for name, v in self.columns.items()}).items():
            if len(values) != len(self):
                raise PlauditError(
                    f"answers: {name} has {len(values)} entries for {len(self)} prompts; give one for each"
                )

    def __len__(self) -> int:
        """B, the number of answers."""
        return len(self.prompts)


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
