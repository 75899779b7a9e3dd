"""Needs: what an algorithm asks of whoever collects behaviour for it and descends its loss."""

from dataclasses import dataclass
from typing import Literal

from plaudit.errors import PlauditError


@dataclass(frozen=True)
class Needs:
    """Declared by `needs(config)` of an algorithm's file; nothing is guessed from the names of its settings."""

    critic: bool = False
    """Values V(s_t) and those of the true successors."""
    reference: bool = False
    """Log-probabilities of a reference policy."""
    unit: Literal["steps", "episodes"] = "steps"
    """steps: so many decisions of each environment, wherever they fall; episodes: every row is one whole episode."""
    group: int = 1
    """Rows, at least, that share their prompt or initial state."""
    step: Literal["adam", "trust_region"] = "adam"
    """How its loss is descended, unless the trainer is told otherwise."""
    epochs: int | None = None
    """Passes over a rollout for which the loss is right, such as 1 without a probability ratio; None: any number."""
    discount: float | None = None
    """The discount its advantages use; None: the environment's."""

    def __post_init__(self) -> None:
        """Refuse words and numbers without a meaning: whoever collects and descends would take them for others."""
        for name, value, known in (
            ("unit", self.unit, ("steps", "episodes")),
            ("step", self.step, ("adam", "trust_region")),
        ):
            if value not in known:
                raise PlauditError(f"needs.{name}: {value!r} is not one of {', '.join(known)}")
        for name, count in (("group", self.group), ("epochs", self.epochs)):
            if count is not None and (not isinstance(count, int) or count < 1):
                raise PlauditError(f"needs.{name}: {count!r} is not a whole number of 1 or more")
