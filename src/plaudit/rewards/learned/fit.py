"""Fit a reward model to what people said: steps down the weighted sum of the likelihoods of all terms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Judgements, Loss
from plaudit.batches.rows import take
from plaudit.declared import Count, NonNegative, Share, Whole
from plaudit.rewards.learned.people import People
from plaudit.rewards.learned.terms import Likelihood, Term
from plaudit.trainers.steps import AdamOptimiser, Descent, descend


@dataclass(frozen=True)
class Config:
    """How the likelihood is climbed."""

    learning_rate: NonNegative | None = None
    """Step size of AdamW; none: what fits the model (3e-3 for segments; for text, wide models bear smaller ones)."""
    weight_decay: NonNegative = 0.05
    """Decoupled weight decay."""
    first_steps: Whole = 200
    """Gradient steps of the first fit, at least."""
    passes: NonNegative = 2.0
    """Passes over the judgements of the first fit, at least: of many it takes more steps."""
    steps: Whole = 60
    """Gradient steps of every later fit, which goes on from the one before."""
    minibatch_size: Count = 64
    """Judgements per gradient step."""
    schedule: Literal["constant", "linear"] = "constant"
    """The step size stays, or falls linearly to 0 over each fit."""
    max_grad_norm: NonNegative | None = None
    """The gradient is scaled down to this global norm; none: no clipping."""
    microbatch_size: Count | None = None
    """Judgements whose graph is held at a time, which saves memory and changes no gradient; none: all."""
    subsample: Share = 0.25
    """Share of the time steps of a segment drawn afresh for each gradient step; the sum is scaled up by it."""


Options = TypeVar("Options")
"""The tensors of options, as a medium has them."""
Read = TypeVar("Read", contravariant=True)
"""Options that a model reads."""
Subsample = TypeVar("Subsample")
"""What one gradient step looks at; None where that is everything."""


@runtime_checkable
class Scorer(Protocol[Read, Subsample]):
    """How a reward model reads options."""

    def subsample(self, options: Read, generator: torch.Generator) -> Subsample:
        """What one gradient step looks at, where something of that is drawn."""
        ...

    def returns(self, options: Read, subsample: Subsample | None = None) -> Float[Tensor, "K R C"]:
        """What every option is worth to every member of an ensemble."""
        ...


def fit(
    terms: Sequence[Term],
    scorer: Scorer,
    optimiser: AdamOptimiser,
    people: People,
    plan: "Plan",
    generator: torch.Generator,
) -> dict[str, float]:
    """Take the planned number of gradient steps; every member sees every row. Returns the metrics of the last.

    A minibatch holds judgements of every kind in proportion to their number; those of a kind come once in each pass, in
    a fresh order.
    """
    config, total = plan.config, sum(term.count for term in terms)
    shares = [max(1, round(config.minibatch_size * term.count / total)) for term in terms]
    queues = [_Queue(term.count, size) for term, size in zip(terms, shares, strict=True)]
    metrics: dict[str, Tensor] = {}
    for step in range(plan.steps):
        parts = []
        for term, queue in zip(terms, queues, strict=True):
            rows = queue.next(generator)
            part = replace(term, options=take(term.options, rows), judgements=take(term.judgements, rows))
            share = term.count / total
            parts.append(_Part(part, scorer.subsample(part.options, generator), len(rows), share, total))
        rate = plan.rate * (1 - step / plan.steps if config.schedule == "linear" else 1.0)
        objective = _Objective(scorer, people, parts)
        how = Descent(rate, config.max_grad_norm, config.microbatch_size)
        taken = descend(objective, optimiser, how)
        if people.estimated:
            people.step(objective.posterior())
        metrics = taken.loss.metrics
        plan.watch(step + 1)
    return {name: float(value) for name, value in metrics.items()}


@dataclass(frozen=True)
class Plan:
    """How a fit is done, and how long."""

    config: Config
    steps: int
    rate: float
    """Step size at the start."""
    watch: Callable[[int], None] = lambda taken: None
    """Told after every gradient step how many are taken."""


class _Queue:
    """Rows in a fresh order, again and again."""

    def __init__(self, count: int, size: int):
        self.count, self.size = count, size
        self.order = torch.empty(0, dtype=torch.long)

    def next(self, generator: torch.Generator) -> Tensor:
        """The next rows."""
        if len(self.order) < min(self.size, self.count):
            self.order = torch.cat([self.order, torch.randperm(self.count, generator=generator)])
        rows, self.order = self.order[: self.size], self.order[self.size :]
        return rows


@dataclass(frozen=True)
class _Part:
    """Some judgements of one term."""

    term: Term
    subsample: Any
    rows: int
    share: float
    """Judgements of the whole term among those of all terms."""
    total: int
    """Judgements of all terms."""


class _Objective:
    """The objective of one gradient step: the rows of all parts, one after another."""

    def __init__(self, scorer: Scorer, people: People, parts: Sequence[_Part]):
        self.scorer, self.people, self.parts = scorer, people, parts
        self.rows = sum(part.rows for part in parts)
        self._seen: Tensor | None = None

    def outputs(self, rows: slice) -> Float[Tensor, "N K C"]:
        """Returns by every member, padded to the largest number of options."""
        low, high, _ = rows.indices(self.rows)
        found, start = [], 0
        for part in self.parts:
            a, b = max(low - start, 0), min(high - start, part.rows)
            if a < b:
                some = part.term.options if (a, b) == (0, part.rows) else take(part.term.options, slice(a, b))
                found.append(self.scorer.returns(some, part.subsample).transpose(0, 1))
            start += part.rows
        most = max(part.term.judgements.width for part in self.parts)  # of all: pieces must fit together
        return torch.cat([torch.nn.functional.pad(one, (0, most - one.shape[2])) for one in found])

    def loss(self, outputs: Float[Tensor, "N K C"]) -> Loss:
        """The sum over members, so that each learns as if it were alone; metrics are means over them."""
        self._seen = outputs.detach()
        losses = [self._loss_of(part, returns) for part, returns in self._apart(outputs)]
        weighted = list(zip(self._weights(), losses, strict=True))
        nll = torch.stack([weight * one.total for weight, one in weighted]).sum()
        names = dict.fromkeys(name for one in losses for name in one.metrics)
        return Loss(nll=nll, metrics={name: _mean(weighted, name) for name in names})

    def posterior(self) -> Float[Tensor, ""]:
        """The negative log-likelihood of all answers, as these rows tell it, in the parameters of people alone."""
        assert self._seen is not None
        result = torch.zeros(())
        for part, returns in self._apart(self._seen):
            judgements = self.people.entering(part.term.judgements, differentiable=True)
            likelihood = part.term.likelihood
            means = [
                likelihood.module.loss(member, judgements, likelihood.settings).parts["nll"]
                for member in returns.unbind(1)
            ]
            result = result + torch.stack(means).mean() * (part.share * part.total)
        return result

    def _apart(self, outputs: Tensor) -> list[tuple[_Part, Tensor]]:
        found, start = [], 0
        for part in self.parts:
            columns = part.term.judgements.width
            found.append((part, outputs[start : start + part.rows, :, :columns]))
            start += part.rows
        return found

    def _weights(self) -> list[float]:
        if len(self.parts) == 1:
            return [self.parts[0].term.weight]
        return [part.term.weight * part.share for part in self.parts]

    def _loss_of(self, part: _Part, returns: Float[Tensor, "R K C"]) -> Loss:
        return member_loss(returns, self.people.entering(part.term.judgements), part.term.likelihood)


def member_loss(returns: Float[Tensor, "R K C"], judgements: Judgements, likelihood: Likelihood) -> Loss:
    """The sum of every member's loss; metrics are means over them."""
    losses = [likelihood.module.loss(member, judgements, likelihood.settings) for member in returns.unbind(1)]
    metrics = {
        name: torch.stack([loss.metrics[name] for loss in losses]).mean() for name in losses[0].metrics
    }
    return Loss(nll=torch.stack([loss.total for loss in losses]).sum(), metrics=metrics)


def _mean(weighted: Sequence[tuple[float, Loss]], name: str) -> Tensor:
    """Of a metric, over the terms that have it."""
    having = [(weight, one.metrics[name]) for weight, one in weighted if name in one.metrics]
    return torch.stack([weight * value for weight, value in having]).sum() / sum(
        weight for weight, _ in having
    )


@torch.no_grad()
def assess(returns: Float[Tensor, "R C"], judgements: Judgements, likelihood: Likelihood) -> dict[str, float]:
    """The metrics of the likelihood where these are the returns of the options; learns nothing."""
    metrics = likelihood.module.loss(returns, judgements, likelihood.settings).metrics
    return {name: float(value) for name, value in metrics.items()}
