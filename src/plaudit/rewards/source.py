"""Where reward comes from. What every source offers is `RewardSource`; here is one that never changes."""

from collections.abc import Callable
from typing import Any

from plaudit.batches import Rewards
from plaudit.trainers.learner import RewardSource

__all__ = ["Fixed", "RewardSource"]


class Fixed:
    """A source that never changes: a function of behaviour."""

    def __init__(self, pay: Callable[[Any], Rewards]):
        self.pay = pay

    def observe(self, behaviour: Any, progress: float) -> dict[str, Any]:
        """Nothing is learned."""
        return {}

    def rewards(self, behaviour: Any) -> Rewards:
        """What the function says."""
        return self.pay(behaviour)

    def state_dict(self) -> dict[str, Any]:
        """Nothing changes."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to go on from."""
