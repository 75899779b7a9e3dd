"""Answers to prompts, as texts and as tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plaudit.errors import PlauditError


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
