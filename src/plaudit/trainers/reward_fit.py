"""Fit a reward model to what people said: steps down a likelihood of segment returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from plaudit.batches import Comparisons, Judgements, Loss
from plaudit.batches import rows as batches
from plaudit.batches.rows import take
from plaudit.declared import Count, NonNegative, Whole, between
from plaudit.trainers.accumulation import descend
from plaudit.trainers.descent import Adam


@dataclass(frozen=True)
class Config:
    """How the likelihood is climbed."""

    learning_rate: NonNegative = 3e-3
    """Step size of AdamW."""
    weight_decay: NonNegative = 0.05
    """Decoupled weight decay."""
    first_steps: Whole = 200
    """Gradient steps of the first fit."""
    steps: Whole = 60
    """Gradient steps of every later fit, which goes on from the one before."""
    minibatch: Count = 64
    """Pairs per gradient step."""
    schedule: Literal["constant", "linear"] = "constant"
    """The step size stays, or falls linearly to 0 over each fit."""
    max_grad_norm: NonNegative | None = None
    """The gradient is scaled down to this global norm; none: no clipping."""
    piece: Count | None = None
    """Pairs whose graph is held at a time, which saves memory and changes no gradient; none: all."""
    drawn: Annotated[float, between(0.001, 1)] = 0.25
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


@dataclass(frozen=True)
class Options:
    """R judgements of up to C segments of up to L steps each, as the reward model sees them."""

    features: Float[Tensor, "R C L F"]
    mask: Bool[Tensor, "R C L"]
    judgements: Judgements


Returns = Callable[[Any], Float[Tensor, "K R C"]]
"""The return of every option of every judgement (of both, for pairs) by every member of an ensemble."""


def fit(
    at_step: Callable[[torch.Generator], Returns],
    optimiser: Adam,
    pairs: Any,
    likelihood: Likelihood,
    plan: tuple[Config, int],
    generator: torch.Generator,
) -> dict[str, float]:
    """Take the planned number of gradient steps; every member sees every row. Returns the metrics of the last.

    `at_step` says how returns are counted at one step, where something of that is drawn. `pairs` is a dataclass of
    tensors with one row a judgement, among them `judgements`, which the likelihood understands.
    """
    config, steps = plan
    count = batches.count(pairs.judgements)
    metrics: dict[str, Tensor] = {}
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if len(order) < min(config.minibatch, count):
            order = torch.cat([order, torch.randperm(count, generator=generator)])
        part, order = take(pairs, order[: config.minibatch]), order[config.minibatch :]
        rate = config.learning_rate * (1 - step / steps if config.schedule == "linear" else 1.0)
        loss, _ = descend(
            lambda rows, part=part, returns=at_step(generator): returns(take(part, rows)).transpose(0, 1),
            lambda found, part=part: _loss(found, part.judgements, likelihood),
            (batches.count(part.judgements), config.piece),
            optimiser,
            rate,
            config.max_grad_norm,
        )
        metrics = loss.metrics
    return {name: float(value) for name, value in metrics.items()}


def _loss(returns: Float[Tensor, "R K C"], judgements: Judgements, likelihood: Likelihood) -> Loss:
    """The sum over members, so that each learns as if it were alone; metrics are means over them."""
    losses = [likelihood.module.loss(member, judgements, likelihood.settings) for member in returns.unbind(1)]
    metrics = {
        name: torch.stack([loss.metrics[name] for loss in losses]).mean() for name in losses[0].metrics
    }
    return Loss(torch.stack([loss.total for loss in losses]).sum(), metrics)


def drawn_returns(model: nn.Module, length: int, share: float) -> Callable[[torch.Generator], Returns]:
    """At each step the sums over a share of the time steps, the same for all segments, scaled up by it."""
    drawn = max(1, round(share * length))

    def at_step(generator: torch.Generator) -> Returns:
        columns = torch.randperm(length, generator=generator)[:drawn]
        return lambda batch: segment_returns(model, batch, columns) * (length / drawn)

    return at_step


def segment_returns(
    model: nn.Module, batch: Pairs | Options, columns: "Tensor | slice" = slice(None)
) -> Float[Tensor, "K R C"]:
    """The summed reward of every segment by every member, over the given time steps."""
    if isinstance(batch, Options):
        shape = batch.mask.shape[:2]
        features, mask = batch.features[:, :, columns], batch.mask[:, :, columns]
        return _sums(model, features.flatten(end_dim=1), mask.flatten(end_dim=1)).unflatten(1, shape)
    features = torch.cat([batch.first[:, columns], batch.second[:, columns]])
    mask = torch.cat([batch.first_mask[:, columns], batch.second_mask[:, columns]])
    return torch.stack(_sums(model, features, mask).chunk(2, dim=1), dim=-1)


def _sums(
    model: nn.Module, features: Float[Tensor, "N L F"], mask: Bool[Tensor, "N L"]
) -> Float[Tensor, "K N"]:
    # not even a NaN behind the end gets through
    rewards = model(features.masked_fill(~mask.unsqueeze(-1), 0.0))
    return torch.where(mask, rewards, 0.0).sum(dim=-1)


@torch.no_grad()
def assess(returns: Float[Tensor, "R C"], judgements: Judgements, likelihood: Likelihood) -> dict[str, float]:
    """The metrics of the likelihood where these are the returns of the options; learns nothing."""
    metrics = likelihood.module.loss(returns, judgements, likelihood.settings).metrics
    return {name: float(value) for name, value in metrics.items()}
