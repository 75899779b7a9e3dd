"""Fit a reward model to what people said: steps down a likelihood of segment returns."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from plaudit.batches import Comparisons
from plaudit.batches.rows import take
from plaudit.trainers.descent import Adam


@dataclass(frozen=True)
class Config:
    """How the likelihood is climbed."""

    learning_rate: float = 3e-3
    """Step size of AdamW."""
    weight_decay: float = 0.05
    """Decoupled weight decay."""
    first_steps: int = 200
    """Gradient steps of the first fit."""
    steps: int = 60
    """Gradient steps of every later fit, which goes on from the one before."""
    minibatch: int = 64
    """Pairs per gradient step."""
    drawn: float = 0.25
    """Share of the time steps of a segment drawn afresh for each gradient step; the sum is scaled up by it."""


@dataclass(frozen=True)
class Pairs:
    """P pairs of segments of L steps as the reward model sees them, and what was said of them."""

    first: Float[Tensor, "P L F"]
    second: Float[Tensor, "P L F"]
    first_mask: Bool[Tensor, "P L"]
    second_mask: Bool[Tensor, "P L"]
    judgements: Comparisons


@dataclass(frozen=True)
class Likelihood:
    """A likelihood module with its settings."""

    module: Any
    settings: Any


def fit(
    model: nn.Module,
    optimiser: Adam,
    pairs: Pairs,
    likelihood: Likelihood,
    plan: tuple[Config, int],
    generator: torch.Generator,
) -> dict[str, float]:
    """Take the planned number of gradient steps; every member sees every pair. Returns the metrics of the last."""
    config, steps = plan
    count, length = pairs.first_mask.shape
    drawn = max(1, round(config.drawn * length))
    metrics: dict[str, Tensor] = {}
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < min(config.minibatch, count):
            order = torch.cat([order, torch.randperm(count, generator=generator)])
        part, order = take(pairs, order[: config.minibatch]), order[config.minibatch :]
        columns = torch.randperm(length, generator=generator)[:drawn]
        returns = segment_returns(model, part, columns) * (length / drawn)
        losses = [likelihood.module.loss(member, part.judgements, likelihood.settings) for member in returns]
        optimiser.step(torch.stack([loss.total for loss in losses]).sum(), config.learning_rate, None)
        metrics = {
            name: torch.stack([loss.metrics[name] for loss in losses]).mean() for name in losses[0].metrics
        }
    return {name: float(value) for name, value in metrics.items()}


def segment_returns(
    model: nn.Module, pairs: Pairs, columns: "Tensor | slice" = slice(None)
) -> Float[Tensor, "K P 2"]:
    """The summed reward of both segments by every member, over the given time steps."""
    features = torch.cat([pairs.first[:, columns], pairs.second[:, columns]])
    mask = torch.cat([pairs.first_mask[:, columns], pairs.second_mask[:, columns]])
    rewards = model(
        features.masked_fill(~mask.unsqueeze(-1), 0.0)
    )  # not even a NaN behind the end gets through
    returns = torch.where(mask, rewards, 0.0).sum(dim=-1)
    return torch.stack(returns.chunk(2, dim=1), dim=-1)


@torch.no_grad()
def assess(model: nn.Module, pairs: Pairs, likelihood: Likelihood) -> dict[str, float]:
    """The metrics of the likelihood on pairs, by the mean return of the members; learns nothing."""
    returns = segment_returns(model, pairs).mean(dim=0)
    metrics = likelihood.module.loss(returns, pairs.judgements, likelihood.settings).metrics
    return {name: float(value) for name, value in metrics.items()}
