"""Learn from fresh behaviour: collect a rollout, pay for it, improve the policy on it, repeat.

Knows no algorithm and no environment: an algorithm is a module with `needs`, `advantages` and `loss`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Generic, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes, Loss, Rollout, Scores
from plaudit.batches.rows import as_decisions, take
from plaudit.declared import Count, Dataclass, NonNegative
from plaudit.errors import Diverged, PlauditError
from plaudit.maths import kl, masked
from plaudit.maths.advantage import with_estimate
from plaudit.maths.kl import Kl
from plaudit.old_python_names import of_training
from plaudit.trainers.learner import Actor, Behaviour, Reference, RewardSource, Rollouts
from plaudit.trainers.steps import Adam, AdamOptimiser, Descent, Step, TrustRegion, descend, move_within


@dataclass(frozen=True)
class Config:
    """How the loss is descended."""

    learning_rate: NonNegative = 3e-4
    """Step size of Adam at the start."""
    schedule: Literal["constant", "linear"] = "linear"
    """The step size stays, or falls linearly to 0 over the budget."""
    anneal: tuple[str, ...] = ()
    """Fields of the algorithm's config that fall linearly to 0 as well, such as clip or kl.coef."""
    epochs: Count = 10
    """Passes over each rollout; in a trust region those of the critic."""
    minibatch_size: Count = 64
    """Rows per gradient step: single decisions for a memoryless policy, whole episodes otherwise."""
    microbatch_size: Count | None = None
    """Rows of a minibatch whose graph is held at a time, which saves memory and changes no gradient; none: all."""
    max_grad_norm: NonNegative | None = 0.5
    """The gradient is scaled down to this global norm; none: no clipping."""
    refresh_values: Literal["once", "each epoch"] = "once"
    """Values and advantages are computed once per rollout, or again with the new critic before each epoch."""
    step: Step = Adam()
    """How the policy moves: adam, or trust_region."""


@dataclass(frozen=True)
class Algorithm:
    """An algorithm's module with its settings."""

    module: ModuleType
    settings: Any
    name: str = ""
    """As people call it."""


@dataclass
class Updater:
    """A policy with what improves it, and everything of that which changes."""

    policy: Any
    algorithm: Algorithm
    config: Config
    generator: torch.Generator
    """Shuffles minibatches."""
    updates: int = 0
    decisions: int = 0
    """Learned from so far: environment steps, or tokens."""
    kl_coef: float | None = None
    """The adaptive price of the KL to the reference; none until the controller has set it."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What the last update reported."""

    def __post_init__(self) -> None:
        """The optimiser takes the policy's parameters over."""
        step = self.config.step
        self.optimiser = AdamOptimiser(
            self.policy.parameters(), eps=step.eps if isinstance(step, Adam) else Adam().eps
        )

    def update(self, rollout: Rollout, remaining: float) -> None:
        """Improve the policy on one rollout, in place; the metrics lie in `metrics` afterwards.

        `remaining` is the share of the budget that was left before this rollout: schedules follow it.
        """
        settings = self.settings_at(remaining)
        rate = self.config.learning_rate * (remaining if self.config.schedule == "linear" else 1.0)
        try:
            before, seen = self._epochs(rollout, settings, rate)
        except ValueError as error:
            raise PlauditError(f"{self.algorithm.name or 'algorithm'}: {error}") from error
        self.updates += 1
        decisions = int(rollout.episodes.mask.sum())
        self.decisions += decisions
        self._control_kl(rollout.episodes, settings, decisions)
        told = rollout.metrics | self._report(before, rollout.episodes, seen, rate)
        self.metrics = told | charged(told, settings)

    def rest(self, rollout: Rollout) -> None:
        """Learn nothing from a rollout of which nobody knows yet what it is worth."""
        self.updates += 1
        self.decisions += int(rollout.episodes.mask.sum())
        self.metrics = dict(rollout.metrics) | {"policy/rested": 1.0}

    def settings_at(self, remaining: float) -> Any:
        """The algorithm's config with its annealed fields and its adaptive price of this update."""
        settings = self.algorithm.settings
        for path in self.config.anneal:
            settings = _scaled(settings, path.split("."), remaining)
        for name, price in prices(settings).items():
            if price.target is not None and self.kl_coef is not None:
                settings = replace(settings, **{name: replace(price, coef=self.kl_coef)})
        return settings

    def _epochs(
        self, rollout: Rollout, settings: Dataclass, rate: float
    ) -> tuple["_Batch", list[dict[str, Tensor]]]:
        """The batch of the first epoch, and the metrics of every step."""
        config, episodes, seen = self.config, rollout.episodes, []
        batch = first = self._batch(episodes, rollout.record, settings)
        region = config.step if isinstance(config.step, TrustRegion) else None
        if region is not None:
            whole = _Minibatch(self.policy, self.algorithm, settings, batch)
            seen.append(move_within(whole, self.optimiser.flat, region))
            if batch.episodes.values is None:
                return first, seen
        how = Descent(rate, config.max_grad_norm, config.microbatch_size, critic_alone=region is not None)
        for epoch in range(config.epochs):
            if epoch > 0 and config.refresh_values == "each epoch":
                episodes = self.policy.refresh(episodes, rollout.record)
                batch = self._batch(episodes, rollout.record, settings)
            if not self._epoch(batch, settings, how, seen):
                break
        return first, seen

    def _epoch(
        self, batch: "_Batch", settings: Dataclass, how: Descent, seen: list[dict[str, Tensor]]
    ) -> bool:
        """One pass over all rows, each exactly once, in a fresh order; False: the algorithm asked to stop."""
        rows, size = batch.advantages.shape[0], self.config.minibatch_size
        shuffled = take(batch, torch.randperm(rows, generator=self.generator))
        for first in range(0, rows, size):
            part = take(shuffled, slice(first, first + size))
            taken = descend(_Minibatch(self.policy, self.algorithm, settings, part), self.optimiser, how)
            if taken.norm is None:
                seen.append(taken.loss.metrics)
                return False
            name = "critic/grad_norm" if how.critic_alone else "policy/grad_norm"
            told = {} if how.critic_alone else taken.loss.metrics
            seen.append(told | {name: taken.norm})
        return True

    def _batch(self, episodes: Episodes, record: object, settings: Dataclass) -> "_Batch":
        """What the epochs draw from; decisions without an advantage are left out."""
        estimated = self.algorithm.module.advantages(episodes, settings)
        if not isinstance(estimated, Tensor) or estimated.shape != episodes.mask.shape:
            found = list(estimated.shape) if isinstance(estimated, Tensor) else type(estimated).__name__
            raise ValueError(f"advantages: one for each decision, {list(episodes.mask.shape)}, not {found}")
        known, advantages = with_estimate(episodes, estimated)
        if episodes.mask.any() and not known.mask.any():
            raise ValueError(
                "no decision of this rollout has an advantage: no episode terminates in it; use longer rollouts or GAE"
            )
        batch = _Batch(known, advantages, record)
        whole = (
            self.algorithm.module.needs(settings).unit == "episodes"
        )  # a loss over rows must see them whole
        return as_decisions(batch, known.mask) if self.policy.memoryless and not whole else batch

    def _control_kl(self, episodes: Episodes, settings: Dataclass, decisions: int) -> None:
        for price in prices(settings).values():
            if price.target is not None and episodes.ref_logp is not None:
                current = float(masked.mean(kl.k1(episodes.logp, episodes.ref_logp), episodes.mask))
                self.kl_coef = kl.adapt(price.coef, current, price.target, decisions, price.horizon)

    def _report(
        self, batch: "_Batch", episodes: Episodes, seen: list[dict[str, Tensor]], rate: float
    ) -> dict[str, float]:
        """Means over the minibatches, and what the rollout itself says."""
        names = {name for metrics in seen for name in metrics}
        report = {
            name: float(torch.stack([m[name] for m in seen if name in m]).mean()) for name in sorted(names)
        }
        report["policy/learning_rate"] = rate
        if batch.episodes.values is not None:
            values, mask = batch.episodes.values, batch.episodes.mask
            explained = masked.explained_variance(values, batch.advantages + values, mask)
            report["val/explained_variance"] = float(explained)
        if episodes.ref_logp is not None:
            distance = masked.mean(kl.k1(episodes.logp, episodes.ref_logp), episodes.mask)
            report["objective/kl"] = float(distance)  # k1, per decision
        if self.kl_coef is not None:
            report["objective/kl_coef"] = self.kl_coef
        return report

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes, the policy's weights included."""
        return {
            "policy": self.policy.trainable(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "updates": self.updates,
            "decisions": self.decisions,
            "kl_coef": self.kl_coef,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.policy.restore(state["policy"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.updates, self.decisions = state["updates"], state["decisions"]
        self.kl_coef = state["kl_coef"]


class OnPolicy(Generic[Behaviour, Actor, Reference]):
    """A `Learner`: collect, observe, pay, improve, until exactly the budget is spent."""

    def __init__(
        self,
        updater: Updater,
        rollouts: Rollouts[Behaviour, Actor, Reference],
        rewards: RewardSource[Behaviour],
        budget: int,
        reference: Reference | None = None,
    ):
        self.updater, self.rollouts, self.rewards = updater, rollouts, rewards
        self.reference, self.budget, self.spent = reference, budget, 0

    @property
    def policy(self) -> Any:
        """What learns."""
        return self.updater.policy

    @property
    def updates(self) -> int:
        """Steps taken so far."""
        return self.updater.updates

    @property
    def progress(self) -> float:
        """Share of the budget that is spent."""
        return self.spent / self.budget

    @property
    def done(self) -> bool:
        """The budget is spent."""
        return self.spent >= self.budget

    def step(self) -> dict[str, Any]:
        """One rollout and the update on it; returns the metrics of both."""
        updater, left = self.updater, self.budget - self.spent
        behaviour = self.rollouts.collect(updater.policy, left)
        cost = self.rollouts.cost(behaviour)
        if not 0 < cost <= left:
            raise ValueError(f"a rollout took {cost} of the budget where 1 to {left} were left")
        # the last whole rollout is the last chance to ask what is left
        progress = 1.0 if left - cost < self.rollouts.size else self.progress
        observed = self.rewards.observe(behaviour, progress)
        paid = self.rewards.rewards(behaviour)
        rollout = self.rollouts.episodes(behaviour, updater.policy, self.reference, paid)
        if paid.taught:
            updater.update(rollout, 1 - self.progress)
        else:
            updater.rest(rollout)
        if not updater.optimiser.finite:  # before it could get into a checkpoint
            raise Diverged("the weights are")
        self.spent += cost
        return updater.metrics | observed

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        return {
            "updater": self.updater.state_dict(),
            "rollouts": self.rollouts.state_dict(),
            "rewards": self.rewards.state_dict(),
            "spent": self.spent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where a saved state stood."""
        self.updater.load_state_dict(state["updater"])
        self.rollouts.load_state_dict(state["rollouts"])
        self.rewards.load_state_dict(state["rewards"])
        self.spent = state["spent"]


def prices(settings: Dataclass) -> Mapping[str, Kl]:
    """The prices of leaving a reference among the settings of an algorithm, by their field."""
    return {name: value for name, value in vars(settings).items() if isinstance(value, Kl)}


def charged(metrics: Mapping[str, float], settings: Dataclass) -> dict[str, float]:
    """What the KL to the reference took off the reward of a row, and what was left to optimise."""
    if "objective/kl_per_answer" not in metrics:
        return {}
    price = sum(one.coef for one in prices(settings).values() if one.where == "reward")
    taken = -price * metrics["objective/kl_per_answer"]
    return {
        "objective/non_score_reward": taken,
        "objective/rlhf_reward": metrics["objective/reward"] + taken,
    }


@dataclass(frozen=True)
class _Batch:
    episodes: Episodes
    advantages: Float[Tensor, "B T"]
    record: Any


@dataclass(frozen=True)
class _Minibatch:
    """The objective of one gradient step."""

    policy: Any
    algorithm: Algorithm
    settings: Any
    batch: _Batch

    @property
    def rows(self) -> int:
        return self.batch.advantages.shape[0]

    def outputs(self, rows: slice) -> Scores:
        return self.policy.scores(take(self.batch.record, rows))

    def loss(self, outputs: Scores) -> Loss:
        batch = self.batch
        return Loss.of(self.algorithm.module.loss(outputs, batch.episodes, batch.advantages, self.settings))


def _scaled(settings: Dataclass, path: list[str], factor: float) -> Any:
    """The settings with one number scaled."""
    first, *rest = path
    value = getattr(settings, first)
    return replace(settings, **{first: _scaled(value, rest, factor) if rest else value * factor})


def __getattr__(name: str) -> Any:
    """`Learner`, `start` and `update` of the version before."""
    return of_training(name)
