"""What every learner is to the loop that runs it, and what learners ask of others: behaviour, and reward for it."""

from typing import Any, Protocol, runtime_checkable

from plaudit.batches import Rewards, Rollout


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
class Rollouts(Protocol):
    """Where behaviour comes from: N environments, or prompts."""

    @property
    def size(self) -> int:
        """What a whole rollout takes of the budget."""
        ...

    def collect(self, policy: Any, limit: int) -> Any:
        """Behaviour of the policy that takes at most `limit` of the budget."""
        ...

    def cost(self, behaviour: Any) -> int:
        """What this behaviour takes of the budget."""
        ...

    def episodes(self, behaviour: Any, policy: Any, reference: Any | None, rewards: Rewards) -> Rollout:
        """What the formulas see of it: log-probabilities by the trainer's forward pass, values, rewards."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        ...


@runtime_checkable
class RewardSource(Protocol):
    """What pays for behaviour (`Trajectories` of control, `Completions` of text)."""

    def observe(self, behaviour: Any, progress: float) -> dict[str, Any]:
        """Learn from fresh behaviour: ask about it, read what was said, refit, normalise; returns metrics.

        `progress`: share of the budget spent before it; 1 where no other whole rollout follows.
        """
        ...

    def rewards(self, behaviour: Any) -> Rewards:
        """What it is worth; changes nothing."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        ...
