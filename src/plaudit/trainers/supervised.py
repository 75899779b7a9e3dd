"""Descend a loss on recorded behaviour, epoch after epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from plaudit.batches import Demonstrations
from plaudit.batches.rows import take
from plaudit.trainers.descent import Adam


@dataclass(frozen=True)
class Config:
    """How the loss is descended."""

    learning_rate: float = 1e-3
    """Step size of AdamW."""
    weight_decay: float = 1e-4
    """Decoupled weight decay."""
    epochs: int = 20
    """Passes over the data."""
    minibatch: int = 64
    """Rows per gradient step."""
    max_grad_norm: float | None = None
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
    """Yields the metrics of each epoch, `val/*` on held-out rows; every row is used exactly once per epoch."""
    config = task.config
    optimiser = Adam(policy.parameters(), weight_decay=config.weight_decay)
    rows = data.mask.shape[0]
    for epoch in range(config.epochs):
        losses = []
        order = torch.randperm(rows, generator=generator)
        for first in range(0, rows, config.minibatch):
            part = take(data, order[first : first + config.minibatch])
            loss = task.algorithm.loss(policy.scores(part.record), part, task.settings)
            optimiser.step(loss.total, config.learning_rate, config.max_grad_norm)
            losses.append(loss.total.detach())
        with torch.no_grad():
            new = task.algorithm.loss(policy.scores(held_out.record), held_out, task.settings)
        yield {
            "epoch": float(epoch + 1),
            "loss/total": float(torch.stack(losses).mean()),
            **{name.replace("loss/", "val/"): float(value) for name, value in new.metrics.items()},
        }
