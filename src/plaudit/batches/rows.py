"""Selecting rows of a batch: every tensor field of a frozen dataclass is indexed alike."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

Batch = TypeVar("Batch")


def take(batch: Batch, rows: "Int[Tensor, 'R'] | slice") -> Batch:
    """The given rows of every tensor in a dataclass (nested ones too); other fields stay as they are."""
    return _map(batch, lambda tensor: tensor[rows])


def moved(batch: Batch, device: torch.device | str) -> Batch:
    """The same batch with every tensor on a device."""
    return _map(batch, lambda tensor: tensor.to(device))


def count(batch: object) -> int:
    """How many rows a batch has: the length of its first tensor."""
    names = [field.name for field in fields(batch)]  # type: ignore[arg-type]
    return len(next(value for name in names if isinstance(value := getattr(batch, name), Tensor)))


def as_decisions(batch: Batch, mask: Bool[Tensor, "B T"]) -> Batch:
    """Every decision a row of its own, [B, T, ...] -> [sum(mask), 1, ...]; what is not a decision is dropped.

    A memoryless policy scores a step without its neighbours, so that minibatches may mix single steps. Fields
    with a row dimension only, such as `group`, are repeated for each decision of the row.
    """
    row, _ = torch.nonzero(mask, as_tuple=True)
    return _map(batch, lambda t: t[mask].unsqueeze(1) if t.shape[:2] == mask.shape else t[row])


def flattened(record: Batch) -> Batch:
    """Both sides of every pair as rows of their own, [P, 2, ...] -> [2 P, ...]."""
    return _map(record, lambda tensor: tensor.flatten(end_dim=1))


def _map(batch: Batch, function: Callable[[Tensor], Tensor]) -> Batch:
    changed = {}
    for field in fields(batch):  # type: ignore[arg-type]
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = function(value)
        elif is_dataclass(value):
            changed[field.name] = _map(value, function)
    return replace(batch, **changed)  # type: ignore[type-var]
