"""The record of language behaviour: the very token ids that were sampled, and which of them are decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from plaudit.errors import PlauditError

PADDED = 96
"""Padding of rows read together, in tokens, that costs a processor about what reading them in one more part does."""


@dataclass(frozen=True)
class Tokens:
    """B sequences of context and decisions (pairs: [P, 2, ..]), from column 0 without gaps; padding is at the right."""

    ids: Int[Tensor, "*B L"]
    """Token ids; padding holds 0, which no score depends on."""
    lengths: Int[Tensor, "*B"]
    """Tokens in each row."""
    decisions: Int[Tensor, "*B T"]
    """The column in `ids` of each decision; 0: none (the first token of a sequence is never a decision)."""

    @property
    def mask(self) -> Bool[Tensor, "*B T"]:
        """Where there is a decision."""
        return self.decisions > 0


def record(
    sequences: Sequence[Sequence[int]],
    decisions: Sequence[Sequence[int]],
    device: torch.device | str = "cpu",
) -> Tokens:
    """Tokens from lists: row b is `sequences[b]`, of which the columns `decisions[b]` (all above 0) were chosen."""
    (ids, lengths), (columns, chosen) = padded(sequences), padded(decisions)
    assert len(lengths) == len(chosen)
    return Tokens(ids.to(device), lengths.to(device), columns.to(device))


def padded(rows: Sequence[Sequence[int]], left: bool = False) -> tuple[Int[Tensor, "B L"], Int[Tensor, "B"]]:
    """Lists of numbers as one tensor, zeros at the right or at the left, and their lengths; on the CPU."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    width = int(lengths.max()) if rows else 0
    column = torch.arange(width)
    taken = column >= width - lengths[:, None] if left else column < lengths[:, None]
    found = torch.zeros(len(rows), width, dtype=torch.long)
    found[taken] = torch.tensor(list(chain.from_iterable(rows)), dtype=torch.long)  # one copy for all rows
    return found, lengths


def answers(
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    device: torch.device | str = "cpu",
) -> Tokens:
    """Tokens of prompts, each followed by a response whose every token is a decision. Raises PlauditError where a
    prompt is empty."""
    for number, prompt in enumerate(prompts, 1):
        if not prompt:
            raise PlauditError(
                f"prompt {number} is empty: a model goes on from at least one token; give it some text"
            )
    sequences = [[*prompt, *response] for prompt, response in zip(prompts, responses, strict=True)]
    decisions = [
        range(len(prompt), len(prompt) + len(response))
        for prompt, response in zip(prompts, responses, strict=True)
    ]
    return record(sequences, decisions, device)


def whole(sequences: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Tokens:
    """Tokens of texts in which everything after the first token is a decision: plain language modelling."""
    return record(sequences, [range(1, len(sequence)) for sequence in sequences], device)


def alike(lengths: Int[Tensor, "B"], most: int) -> list[Int[Tensor, "_"]]:
    """All rows, shortest first, in parts of at most `most` that are read together.

    A processor takes as long for padding as for tokens, so there a part also ends before it holds more than PADDED of
    it. The parts depend on the lengths alone: two models that read the same rows read them alike.
    """
    order = lengths.argsort(stable=True)
    if lengths.device.type != "cpu":
        return list(order.split(most))
    sizes, began, padding = [], 0, 0
    ordered = lengths[order].tolist()
    for place in range(1, len(ordered)):
        padding += (ordered[place] - ordered[place - 1]) * (place - began)
        if place - began == most or padding > PADDED:
            sizes.append(place - began)
            began, padding = place, 0
    return list(order.split([*sizes, len(ordered) - began]))


def refuse_longer(lengths: Int[Tensor, "B"], context: int | None) -> None:
    """Raise PlauditError where a text is longer than a model reads; on a GPU that would end the process."""
    longest = int(lengths.max()) if len(lengths) else 0
    if context is not None and longest > context:
        raise PlauditError(
            f"a text of {longest} tokens is longer than the {context} that the model reads; leave out or cut texts of "
            f"more than {context} tokens, or take a model with a longer context"
        )
