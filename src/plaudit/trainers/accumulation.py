"""One gradient step whose batch is too large for its graph: in pieces, exactly as if it were whole.

Any loss is a function of the model's outputs. So the outputs of all pieces are computed first without a graph, the
loss is differentiated in them, and then each piece is computed again and its part of that gradient sent down
(Gao et al. 2021, arXiv:2101.06983, section 3.2). No loss has to be a mean over rows, and pieces may be uneven.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from plaudit.batches import Loss
from plaudit.trainers.descent import Adam


def descend(
    outputs_of: Callable[[slice], Any],
    loss_of: Callable[[Any], Loss],
    rows: tuple[int, int | None],
    optimiser: Adam,
    rate: float,
    max_grad_norm: float | None,
) -> tuple[Loss, Tensor | None]:
    """Take one step; returns the loss and the gradient's norm, which is None where the loss asked to stop.

    `rows`: how many there are, and how many may have a graph at a time (None: all). Outputs are a tensor or a
    dataclass of tensors with the rows first.
    """
    count, piece = rows
    if piece is None or count <= piece:
        loss = loss_of(outputs_of(slice(None)))
        return loss, None if loss.stop else optimiser.step(loss.total, rate, max_grad_norm)
    pieces = [slice(first, first + piece) for first in range(0, count, piece)]
    with torch.no_grad():
        found = [outputs_of(rows) for rows in pieces]
    leaves = [torch.cat(parts).requires_grad_() for parts in zip(*map(_tensors, found), strict=True)]
    loss = loss_of(_filled(found[0], leaves))
    if loss.stop:
        return loss, None
    gradients = torch.autograd.grad(loss.total, leaves, allow_unused=True)
    optimiser.begin()
    for piece_rows in pieces:
        outputs = _tensors(outputs_of(piece_rows))
        paired = [(o, g[piece_rows]) for o, g in zip(outputs, gradients, strict=True) if g is not None]
        torch.autograd.backward([o for o, _ in paired], [g for _, g in paired])
    return loss, optimiser.finish(rate, max_grad_norm)


def _tensors(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    assert is_dataclass(outputs)
    return [value for field in fields(outputs) if isinstance(value := getattr(outputs, field.name), Tensor)]


def _filled(pattern: Any, tensors: list[Tensor]) -> Any:
    """The pattern with other tensors in the order of `_tensors`."""
    if isinstance(pattern, Tensor):
        return tensors[0]
    left = iter(tensors)
    names = [field.name for field in fields(pattern) if isinstance(getattr(pattern, field.name), Tensor)]
    return replace(pattern, **{name: next(left) for name in names})
