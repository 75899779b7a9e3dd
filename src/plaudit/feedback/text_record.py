"""A text record: one completion of a prompt, wherever it is stored, shown, judged or exported."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, str]
"""A turn of a conversation: role and content."""


@dataclass(frozen=True)
class TextRecord:
    """What was asked, and one completion."""

    prompt: str | None
    """The rendered prompt, what the model read; none where only its messages are known."""
    completion: "str | tuple[Message, ...]"
    """The decoded completion, without stop or padding tokens; or messages, as a file may have them."""
    messages: tuple[Message, ...] | None = None
    """A conversational prompt as its turns."""
    tokens: tuple[int, ...] | None = None
    """The very token ids that were sampled, the stop token included; none where it was not sampled here."""
    ended: bool | None = None
    """Whether it ends with a stop token; otherwise the length cap cut it."""
    columns: Mapping[str, Any] | None = None
    """Whatever else the prompt's row holds."""

    def to_json(self) -> bytes:
        """As an artifact holds it; equal records give equal bytes. What is not known of a text is left out."""
        known = {"tokens": self.tokens, "ended": self.ended, "columns": self.columns}
        whole = {"prompt": self.prompt, "completion": self.completion, "messages": self.messages}
        whole |= {name: value for name, value in known.items() if value is not None}
        return json.dumps(whole, ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "TextRecord":
        """The record in an artifact."""
        found = json.loads(data)
        completion, messages, tokens = found["completion"], found.get("messages"), found.get("tokens")
        return cls(
            prompt=found.get("prompt"),
            completion=completion if isinstance(completion, str) else tuple(completion),
            messages=None if messages is None else tuple(messages),
            tokens=None if tokens is None else tuple(tokens),
            ended=found.get("ended"),
            columns=found.get("columns"),
        )
