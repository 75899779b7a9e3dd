"""Small language models with weights large enough that every token matters, and slow oracles for them."""

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any

import torch
from torch import Tensor

from plaudit.models.language import loading, vocabulary
from plaudit.models.language.loading import NewModel
from plaudit.models.language.vocabulary import Vocabulary

FAMILIES = ("gpt2", "llama")
TEXT = ["the cat sat on the mat", "a dog ate the cake", "who let the dogs out?", "naïve café, 12 €"] * 3


@cache
def words() -> Vocabulary:
    """A byte-level BPE of 300 entries at most; 0 ends an answer and 1 pads."""
    return Vocabulary(vocabulary.train_bpe(TEXT, 300), "words")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lm(family: str = "gpt2", seed: int = 0, scale: float = 0.3, **sizes: int) -> Any:
    """Two layers of width 16, with every weight and bias drawn anew."""
    known = {"layers": 2, "width": 16, "heads": 2, "context": 48} | sizes
    model = loading.make(NewModel(family=family, **known), words(), seeded(seed))
    generator = seeded(seed + 1)
    with torch.no_grad():
        for p in model.parameters():
            drawn = torch.empty_like(p).normal_(0.0, scale, generator=generator)
            p.copy_(drawn + 1 if p.dim() == 1 and float(p.mean()) == 1 else drawn)
    return model


def sequences(lengths: Sequence[int], seed: int = 0) -> list[list[int]]:
    """Random token ids, special ones left out."""
    generator, entries = seeded(seed), len(words())
    return [torch.randint(2, entries, (n,), generator=generator).tolist() for n in lengths]


def logits(model: Any, ids: Sequence[int]) -> Tensor:
    """transformers' own logits [L, V] of one text alone, in double precision."""
    with torch.no_grad():
        return deepcopy(model).double()(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0]


def log_probs(model: Any, ids: Sequence[int], temperature: float = 1.0) -> Tensor:
    """log p of token i + 1 after the first i + 1 tokens, for every entry [L, V]."""
    return (logits(model, ids) / temperature).log_softmax(dim=-1)


def nucleus(row: Tensor, top_p: float, keep: int | None = None) -> list[int]:
    """The fewest likeliest tokens that together reach top_p, those as likely as the last of them, and the kept one."""
    p = row.double().softmax(dim=0).tolist()
    found, mass = [], 0.0
    for token in sorted(range(len(p)), key=lambda v: -p[v]):
        if mass < top_p or p[token] == p[found[-1]]:
            found.append(token)
            mass += p[token]
    return sorted({*found, *([] if keep is None else [keep])})
