"""A stored text as an export shows it; no torch is needed."""

from dataclasses import dataclass
from typing import Any

from plaudit.feedback.text_record import TextRecord


@dataclass(frozen=True)
class Side:
    """One completion."""

    option: Any
    """A text, or the assistant's messages where the prompt is a conversation."""
    prompt: Any
    """A text, or messages."""
    tokens: tuple[int, ...] | None
    """The very token ids that were sampled, where they are known."""
    ended: bool | None


def side(data: bytes) -> Side:
    """A completion from its artifact."""
    said = TextRecord.from_json(data)
    option: Any = said.completion if isinstance(said.completion, str) else list(said.completion)
    if said.messages is not None and isinstance(said.completion, str):
        option = [{"role": "assistant", "content": said.completion}]
    prompt = said.prompt if said.messages is None else list(said.messages)
    known = said.tokens is not None and said.ended is not None and isinstance(option, str)
    return Side(option, prompt, said.tokens if known else None, said.ended)
