"""Descend a loss on recorded behaviour, epoch after epoch: demonstrations, or pairs of which one is preferred."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal

import torch
from torch import Tensor

from plaudit.batches import Demonstrations, Loss, Pairs, Scores
from plaudit.batches.rows import flattened, take
from plaudit.declared import Count, NonNegative, Whole
from plaudit.errors import Diverged
from plaudit.trainers.learner import Record, Scoring, Trainable
from plaudit.trainers.on_policy import Algorithm
from plaudit.trainers.steps import AdamOptimiser, Descent, descend

Data = Demonstrations | Pairs


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
    log_every: Count | None = None
    """Gradient steps between reports with the held-out loss; none: once a pass."""
    minibatch_size: Count = 64
    """Rows per gradient step."""
    schedule: Literal["constant", "linear"] = "constant"
    """The step size stays, or falls linearly to 0 over all epochs."""
    warmup: Whole = 0
    """Gradient steps over which the step size rises to its full value."""
    microbatch_size: Count | None = None
    """Rows of a minibatch whose graph is held at a time, which saves memory and changes no gradient; none: all."""
    max_grad_norm: NonNegative | None = None
    """The gradient is scaled down to this global norm; none: no clipping."""


class Supervised(Generic[Record]):
    """A `Learner`: one step is as many gradient steps as lie between two reports; every row once in a pass."""

    def __init__(
        self,
        policy: Trainable[Record],
        data: Data,
        held_out: Data,
        algorithm: Algorithm,
        config: Config,
        generator: torch.Generator,
    ):
        self.policy, self.data, self.held_out = policy, data, held_out
        self.algorithm, self.config, self.generator = algorithm, config, generator
        self.optimiser = AdamOptimiser(policy.parameters(), weight_decay=config.weight_decay)
        rows = data.mask.shape[0]
        self.pass_steps = -(-rows // config.minibatch_size)
        self.total = config.epochs * self.pass_steps if config.steps is None else config.steps
        self.taken = 0
        """Gradient steps so far."""
        self.updates = 0
        self.order = torch.empty(0, dtype=torch.long)

    @property
    def progress(self) -> float:
        """Share of the gradient steps that are taken."""
        return self.taken / self.total

    @property
    def done(self) -> bool:
        """All are taken."""
        return self.taken >= self.total

    def step(self) -> dict[str, Any]:
        """Gradient steps up to the next report; returns its metrics, `val/*` on held-out rows."""
        losses: list[Tensor] = []
        told: dict[str, Tensor] = {}
        while not losses or (self.taken % (self.config.log_every or self.pass_steps) and not self.done):
            loss = self._descend()
            losses.append(loss.total.detach())
            told = loss.metrics
        if not self.optimiser.finite:
            raise Diverged("the weights are", "lower trainer.learning_rate")
        self.updates += 1
        with torch.no_grad():
            new = _Minibatch(self.policy, self.algorithm, self.held_out)
            held_out = new.loss(new.outputs(slice(None))).metrics
        return {
            "epoch": float((self.taken - 1) // self.pass_steps + 1),
            "step": float(self.taken),
            "loss/total": float(torch.stack(losses).mean()),
            **{name: float(value) for name, value in told.items() if not name.startswith("loss/")},
            **{_held_out(name): float(value) for name, value in held_out.items()},
        }

    def _descend(self) -> Loss:
        config, step = self.config, self.taken
        first = step % self.pass_steps * config.minibatch_size
        if first == 0:
            self.order = torch.randperm(self.data.mask.shape[0], generator=self.generator)
        part = take(self.data, self.order[first : first + config.minibatch_size])
        rate = config.learning_rate * (1 - step / self.total if config.schedule == "linear" else 1.0)
        rate *= min(1.0, (step + 1) / max(1, config.warmup))
        objective = _Minibatch(self.policy, self.algorithm, part)
        how = Descent(rate, config.max_grad_norm, config.microbatch_size)
        self.taken += 1
        return descend(objective, self.optimiser, how).loss

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        return {
            "policy": self.policy.trainable(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "taken": self.taken,
            "updates": self.updates,
            "order": self.order,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where a saved state stood."""
        self.policy.restore(state["policy"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.taken, self.updates, self.order = state["taken"], state["updates"], state["order"]


def run(learner: Supervised) -> Iterator[dict[str, Any]]:
    """Step until it is done; yields every report."""
    while not learner.done:
        yield learner.step()


@torch.no_grad()
def with_reference(pairs: Pairs, reference: Scoring[Record], rows: int) -> Pairs:
    """The pairs with the log-probabilities of a reference, read so many pairs at a time."""
    parts = [
        _scores(reference, take(pairs, slice(first, first + rows)), slice(None)).logp
        for first in range(0, len(pairs.preference), rows)
    ]
    return replace(pairs, ref_logp=torch.cat(parts))


@dataclass(frozen=True)
class _Minibatch:
    """The objective of one gradient step."""

    policy: Any
    algorithm: Algorithm
    batch: Data

    @property
    def rows(self) -> int:
        return self.batch.mask.shape[0]

    def outputs(self, rows: slice) -> Scores:
        return _scores(self.policy, self.batch, rows)

    def loss(self, outputs: Scores) -> Loss:
        return Loss.of(self.algorithm.module.loss(outputs, self.batch, self.algorithm.settings))


def _scores(policy: Scoring[Record], batch: Data, rows: slice) -> Scores:
    """Of demonstrations [B, T]; of pairs [P, 2, T], both sides in one pass."""
    record = take(batch.record, rows)
    if isinstance(batch, Demonstrations):
        return policy.scores(record)
    scores = policy.scores(flattened(record))
    sides = (scores.logp.shape[0] // 2, 2)
    values = None if scores.values is None else scores.values.unflatten(0, sides)
    return Scores(scores.logp.unflatten(0, sides), scores.entropy.unflatten(0, sides), values)


def _held_out(name: str) -> str:
    return name.replace("loss/", "val/") if name.startswith("loss/") else f"val/{name.replace('/', '_')}"
