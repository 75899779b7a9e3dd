"""Learn from fresh behaviour: collect a rollout, improve the policy on it, repeat.

Knows no algorithm and no environment: an algorithm is a module with `advantages` and `loss`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes, Loss, Rollout, Scores
from plaudit.batches.rows import as_decisions, take
from plaudit.declared import Count, NonNegative, Positive
from plaudit.maths import kl, masked
from plaudit.maths.advantage import with_estimate
from plaudit.trainers.accumulation import descend
from plaudit.trainers.descent import Adam


@dataclass(frozen=True)
class Config:
    """How the loss is descended."""

    learning_rate: NonNegative = 3e-4
    """Step size of Adam at the start."""
    schedule: Literal["constant", "linear"] = "linear"
    """The step size stays, or falls linearly to 0 over the budget."""
    anneal: tuple[str, ...] = ()
    """Fields of the algorithm's config that fall linearly to 0 as well, such as clip."""
    epochs: Count = 10
    """Passes over each rollout."""
    minibatch: Count = 64
    """Rows per gradient step: single decisions for a memoryless policy, whole episodes otherwise."""
    piece: Count | None = None
    """Rows of a minibatch whose graph is held at a time, which saves memory and changes no gradient; none: all."""
    max_grad_norm: NonNegative | None = 0.5
    """The gradient is scaled down to this global norm; none: no clipping."""
    refresh_values: Literal["once", "each epoch"] = "once"
    """Values and advantages are computed once per rollout, or again with the new critic before each epoch."""
    kl_target: Positive | None = None
    """Nats per decision at which an adaptive controller holds KL(policy || reference); none: the price is fixed."""
    kl_horizon: Count = 10_000
    """Decisions over which the controller of the KL price reacts."""


@runtime_checkable
class Algorithm(Protocol):
    """What an algorithm module offers."""

    def advantages(self, episodes: Episodes, config: Any) -> Tensor:
        """Advantages [B, T]; NaN where there is no estimate."""
        ...

    def loss(self, new: Scores, episodes: Episodes, advantages: Tensor, config: Any) -> Loss:
        """The loss of new scores; differentiable in them alone."""
        ...


@dataclass(frozen=True)
class Learner:
    """An algorithm with its settings and how its loss is descended."""

    algorithm: Any
    settings: Any
    config: Config


@dataclass
class State:
    """Everything that changes while learning."""

    policy: Any
    optimiser: Adam
    generator: torch.Generator
    updates: int = 0
    decisions: int = 0
    kl_price: float | None = None
    """The adaptive price of KL to the reference; none until the controller has set it."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What the last update reported."""


def start(policy: Any, config: Config, generator: torch.Generator) -> State:
    """A state before the first update."""
    return State(policy, Adam(policy.parameters()), generator)


def train(state: State, collect: Callable[[int], Rollout], learner: Learner, budget: int) -> Iterator[State]:
    """Collect and update until exactly `budget` decisions have been learned from; yields after each update.

    `collect(limit)` gives a rollout of at most `limit` decisions.
    """
    while state.decisions < budget:
        left = budget - state.decisions
        rollout = collect(left)
        if not 0 < int(rollout.episodes.mask.sum()) <= left:
            raise ValueError(
                f"a rollout of {int(rollout.episodes.mask.sum())} decisions where 1 to {left} were asked for"
            )
        update(state, rollout, learner, 1 - state.decisions / budget)
        yield state


def update(state: State, rollout: Rollout, learner: Learner, remaining: float) -> None:
    """Improve the policy on one rollout; changes the state in place and leaves the metrics there.

    `remaining` is the share of the budget that was left before this rollout: schedules follow it.
    """
    config = learner.config
    settings = _settings(state, learner, remaining)
    rate = config.learning_rate * (remaining if config.schedule == "linear" else 1.0)
    episodes, record = rollout.episodes, rollout.record
    seen: list[dict[str, Tensor]] = []
    before: _Batch | None = None
    for epoch in range(config.epochs):
        if epoch > 0 and config.refresh_values == "each epoch":
            episodes = state.policy.refresh(episodes, record)
        if epoch == 0 or config.refresh_values == "each epoch":
            batch = _batch(episodes, record, learner, settings, state.policy.memoryless)
            before = before or batch
        if not _epoch(state, batch, learner, settings, rate, seen):
            break
    state.updates += 1
    decisions = int(episodes.mask.sum())
    state.decisions += decisions
    _control_kl(state, rollout.episodes, settings, config, decisions)
    state.metrics = rollout.metrics | _report(state, before, rollout.episodes, seen, rate)


@dataclass(frozen=True)
class _Batch:
    episodes: Episodes
    advantages: Float[Tensor, "B T"]
    record: Any


def _batch(episodes: Episodes, record: Any, learner: Learner, settings: Any, memoryless: bool) -> _Batch:
    """What the epochs draw from; decisions without an advantage are left out."""
    known, advantages = with_estimate(episodes, learner.algorithm.advantages(episodes, settings))
    if episodes.mask.any() and not known.mask.any():
        raise ValueError(
            "no decision of this rollout has an advantage: no episode terminates in it; use longer rollouts or GAE"
        )
    batch = _Batch(known, advantages, record)
    return as_decisions(batch, known.mask) if memoryless else batch


def _epoch(
    state: State, batch: _Batch, learner: Learner, settings: Any, rate: float, seen: list[dict[str, Tensor]]
) -> bool:
    """One pass over all rows, each exactly once, in a fresh order; False: the algorithm asked to stop."""
    rows = batch.advantages.shape[0]
    shuffled = take(batch, torch.randperm(rows, generator=state.generator))
    for first in range(0, rows, learner.config.minibatch):
        part = take(shuffled, slice(first, first + learner.config.minibatch))
        loss, norm = descend(
            partial(_scores, state.policy, part.record),
            partial(_loss, learner, settings, part),
            (part.advantages.shape[0], learner.config.piece),
            state.optimiser,
            rate,
            learner.config.max_grad_norm,
        )
        if norm is None:
            seen.append(loss.metrics)
            return False
        seen.append(loss.metrics | {"policy/grad_norm": norm})
    return True


def _scores(policy: Any, record: Any, rows: slice) -> Scores:
    return policy.scores(take(record, rows))


def _loss(learner: Learner, settings: Any, batch: _Batch, new: Scores) -> Loss:
    return learner.algorithm.loss(new, batch.episodes, batch.advantages, settings)


def _settings(state: State, learner: Learner, remaining: float) -> Any:
    """The algorithm's config with its annealed fields and its adaptive KL price of this update."""
    changes = {name: getattr(learner.settings, name) * remaining for name in learner.config.anneal}
    if learner.config.kl_target is not None and state.kl_price is not None:
        changes["kl_in_reward"] = state.kl_price
    return replace(learner.settings, **changes) if changes else learner.settings


def _control_kl(state: State, episodes: Episodes, settings: Any, config: Config, decisions: int) -> None:
    if config.kl_target is not None and episodes.ref_logp is not None:
        current = float(masked.mean(kl.k1(episodes.logp, episodes.ref_logp), episodes.mask))
        state.kl_price = kl.adapt(
            settings.kl_in_reward, current, config.kl_target, decisions, config.kl_horizon
        )


def _report(
    state: State, batch: _Batch | None, episodes: Episodes, seen: list[dict[str, Tensor]], rate: float
) -> dict[str, float]:
    """Means over the minibatches, and what the rollout itself says."""
    names = {name for metrics in seen for name in metrics}
    report = {name: float(torch.stack([m[name] for m in seen if name in m]).mean()) for name in sorted(names)}
    report["policy/learning_rate"] = rate
    if batch is not None and batch.episodes.values is not None:
        values, mask = batch.episodes.values, batch.episodes.mask
        explained = masked.explained_variance(values, batch.advantages + values, mask)
        report["val/explained_variance"] = float(explained)
    if episodes.ref_logp is not None:
        price = masked.mean(kl.k1(episodes.logp, episodes.ref_logp), episodes.mask)
        report["objective/kl"] = float(price)  # k1, per decision
    if state.kl_price is not None:
        report["objective/kl_coef"] = state.kl_price
    return report
