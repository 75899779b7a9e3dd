"""Descend a loss on recorded behaviour, epoch after epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from plaudit.batches import Demonstrations
from plaudit.batches.rows import take
from plaudit.declared import Count, NonNegative, Whole
from plaudit.trainers.accumulation import descend
from plaudit.trainers.descent import Adam


@dataclass(frozen=True)
class Config:
    """How the loss is descended."""

    learning_rate: NonNegative = 1e-3
    """Step size of AdamW."""
    weight_decay: NonNegative = 1e-4
    """Decoupled weight decay."""
    epochs: Count = 20
    """Passes over the data, the last one perhaps in part."""
    steps: Count | None = None
    """Gradient steps in all, in place of `epochs`."""
    tell_every: Count | None = None
    """Gradient steps between reports with the held-out loss; none: once a pass."""
    minibatch: Count = 64
    """Rows per gradient step."""
    schedule: Literal["constant", "linear"] = "constant"
    """The step size stays, or falls linearly to 0 over all epochs."""
    warmup: Whole = 0
    """Gradient steps over which the step size rises to its full value."""
    piece: Count | None = None
    """Rows of a minibatch whose graph is held at a time, which saves memory and changes no gradient; none: all."""
    max_grad_norm: NonNegative | None = None
    """The gradient is scaled down to this global norm; none: no clipping."""


@dataclass(frozen=True)
class Task:
    """An imitation algorithm with its settings."""

    algorithm: Any
    settings: Any
    config: Config


def train(
    policy: Any, data: Demonstrations, held_out: Demonstrations, task: Task, generator: torch.Generator
) -> Iterator[dict[str, float]]:
    """Yields the metrics of each pass, `val/*` on held-out rows; every row is used exactly once in a pass."""
    config = task.config
    optimiser = Adam(policy.parameters(), weight_decay=config.weight_decay)
    rows = data.mask.shape[0]
    each = -(-rows // config.minibatch)
    total = config.epochs * each if config.steps is None else config.steps
    losses: list[Tensor] = []
    for step in range(total):
        epoch, first = step // each, step % each * config.minibatch
        if first == 0:
            order = torch.randperm(rows, generator=generator)
        part = take(data, order[first : first + config.minibatch])
        rate = config.learning_rate * (1 - step / total if config.schedule == "linear" else 1.0)
        rate *= min(1.0, (step + 1) / max(1, config.warmup))
        loss, _ = descend(
            lambda piece, part=part: policy.scores(take(part.record, piece)),
            lambda new, part=part: task.algorithm.loss(new, part, task.settings),
            (len(part.mask), config.piece),
            optimiser,
            rate,
            config.max_grad_norm,
        )
        losses.append(loss.total.detach())
        if (step + 1) % (config.tell_every or each) and step + 1 < total:
            continue
        with torch.no_grad():
            new = task.algorithm.loss(policy.scores(held_out.record), held_out, task.settings)
        yield {
            "epoch": float(epoch + 1),
            "step": float(step + 1),
            "loss/total": float(torch.stack(losses).mean()),
            **{name.replace("loss/", "val/"): float(value) for name, value in new.metrics.items()},
        }
        losses = []
