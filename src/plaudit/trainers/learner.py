"""What every learner is to the loop that runs it, and what learners ask of others: behaviour, and reward for it."""

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar, runtime_checkable

from jaxtyping import Bool
from torch import Tensor, nn

from plaudit.batches import Rewards, Rollout, Scores

Behaviour = TypeVar("Behaviour")
"""What a medium calls behaviour: `Trajectories` of control, `Completions` of text."""
Paid = TypeVar("Paid", contravariant=True)
"""Behaviour that a source pays for."""
Actor = TypeVar("Actor", contravariant=True)
"""Who behaves: a policy, or a population of them."""
Reference = TypeVar("Reference", contravariant=True)
"""What a policy is compared with."""
Record = TypeVar("Record", contravariant=True)
"""What a policy reads of behaviour: observations and actions, or token ids."""


@runtime_checkable
class Learner(Protocol):
    """The loop, the run folder, resume and the report know nothing else of what learns."""

    @property
    def updates(self) -> int:
        """Steps taken so far."""
        ...

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, from 0 to 1."""
        ...

    @property
    def done(self) -> bool:
        """Nothing is left to do."""
        ...

    def step(self) -> dict[str, Any]:
        """Learn a little; returns metrics, all numbers finite."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes, as tensors, arrays and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where a saved state stood."""
        ...


@runtime_checkable
class Masked(Protocol):
    """Behaviour that says where its decisions are."""

    @property
    def mask(self) -> Bool[Tensor, "B T"]:
        """A decision; not padding and not a dead step."""
        ...


@runtime_checkable
class Scoring(Protocol[Record]):
    """What says how likely recorded decisions are: a policy, or a reference."""

    def scores(self, record: Record) -> Scores:
        """Log-probability, entropy and value of every recorded decision."""
        ...


@runtime_checkable
class Trainable(Scoring[Record], Protocol[Record]):
    """A policy whose parameters a learner moves, and saves."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """All its parameters, also those that stay as they are."""
        ...

    def trainable(self) -> dict[str, Tensor]:
        """What learning changes, by name."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `trainable` gave."""
        ...


@runtime_checkable
class Rollouts(Protocol[Behaviour, Actor, Reference]):
    """Where behaviour comes from: N environments, or prompts."""

    @property
    def size(self) -> int:
        """What a whole rollout takes of the budget."""
        ...

    def collect(self, policy: Actor, limit: int) -> Behaviour:
        """Behaviour of the policy that takes at most `limit` of the budget."""
        ...

    def cost(self, behaviour: Behaviour) -> int:
        """What this behaviour takes of the budget."""
        ...

    def episodes(
        self, behaviour: Behaviour, policy: Actor, reference: Reference | None, rewards: Rewards
    ) -> Rollout:
        """What the formulas see of it: log-probabilities by the trainer's forward pass, values, rewards."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        ...


@runtime_checkable
class RewardSource(Protocol[Paid]):
    """What pays for behaviour (`Trajectories` of control, `Completions` of text)."""

    def observe(self, behaviour: Paid, progress: float) -> dict[str, Any]:
        """Learn from fresh behaviour: ask about it, read what was said, refit, normalise; returns metrics.

        `progress`: share of the budget spent before it; 1 where no other whole rollout follows.
        """
        ...

    def rewards(self, behaviour: Paid) -> Rewards:
        """What it is worth; changes nothing."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        ...
