"""Needs: what an algorithm asks of whoever collects behaviour for it and descends its loss."""

from dataclasses import dataclass
from typing import Literal


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
