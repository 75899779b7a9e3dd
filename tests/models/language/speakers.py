"""Stand-ins for the trunk of a language model that say what they are told to."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config

from plaudit.models.language.logprobs import Head


class Counting:
    """The next token is the last one plus 1."""

    def __init__(self, entries: int):
        self.config = GPT2Config(n_layer=1, n_head=1, n_embd=1, vocab_size=entries)
        self.head = Head(torch.eye(entries))

    def said(self, ids: Tensor, cache: Any) -> Tensor:
        """The tokens after each of the given ones [B, L]."""
        return ids + 1

    def __call__(self, input_ids: Tensor, past_key_values: Any, **_: Any) -> Any:
        said = self.said(input_ids, past_key_values)
        sure = torch.nn.functional.one_hot(said, len(self.head.weight)).float() * 100
        return SimpleNamespace(last_hidden_state=sure)


class Scripted(Counting):
    """Row r says scripts[r], where r is its first token; which row one is stands in the cache alone."""

    def __init__(self, entries: int, scripts: Sequence[Sequence[int]]):
        super().__init__(entries)
        self.scripts = torch.tensor(scripts)
        self.seen: list[int] = []

    def said(self, ids: Tensor, cache: Any) -> Tensor:
        self.seen.append(len(ids))
        states = ids[:, None, :, None].float()
        keys, _ = cache.update(states, states, 0)
        row, step = keys[:, 0, 0, 0].long(), keys.shape[2] - 1
        return self.scripts[row, step][:, None]
