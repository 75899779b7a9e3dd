"""Episodes: what the formulas see of behaviour, [B, T] tensors over decisions.

A decision is the unit at which a policy chooses and has a log-probability: a token in language, an environment
step in control. Termination, truncation, padding and dead steps are four different things, and all are data.
"""

from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Episodes:
    """A batch of behaviour; a row may hold several episodes, each closed by `last`."""

    logp: Float[Tensor, "B T"]
    """log pi_old(a_t | s_t), by the trainer's own numerics."""
    rewards: Float[Tensor, "B T"]
    """The reward of each decision; 0 where `mask` is false."""
    terminated: Bool[Tensor, "B T"]
    """Nothing follows: the value of what comes next is zero."""
    last: Bool[Tensor, "B T"]
    """End of an episode as seen in this batch: terminated, truncated or cut by the end of the rollout."""
    mask: Bool[Tensor, "B T"]
    """A decision; not padding and not a dead step."""
    values: Float[Tensor, "B T"] | None = None
    """V(s_t); None where there is no critic."""
    next_values: Float[Tensor, "B T"] | None = None
    """V of the true successor, before any reset; None where there is no critic."""
    ref_logp: Float[Tensor, "B T"] | None = None
    """log pi_ref(a_t | s_t); None where no reference is loaded."""
    behaviour_logp: Float[Tensor, "B T"] | None = None
    """Log-probability under the sampler that drew the actions, where that is not the trainer's forward pass."""
    group: Int[Tensor, "B"] | None = None
    """Rows of one group share their prompt or initial state."""


@dataclass(frozen=True)
class Scores:
    """What a policy says now about recorded decisions; differentiable."""

    logp: Float[Tensor, "B T"]
    """log pi(a_t | s_t)."""
    entropy: Float[Tensor, "B T"]
    """Entropy of pi(. | s_t), in nats."""
    values: Float[Tensor, "B T"] | None = None
    """V(s_t); None where there is no critic."""


@dataclass(frozen=True)
class Rollout:
    """Fresh behaviour: the tensors the formulas see and the record only the policy can read."""

    episodes: Episodes
    record: Any
    """Opaque above `models`: observations and actions, or token ids; `policy.scores(record)` reads it."""
    metrics: dict[str, float] = field(default_factory=dict)
    """`rollout/*`: what happened while collecting."""


@dataclass(frozen=True)
class Loss:
    """A scalar to descend and what to tell about it."""

    total: Float[Tensor, ""]
    """The scalar to differentiate."""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Named, masked, detached scalars."""
    stop: bool = False
    """True: a limit of the algorithm is passed; take neither this step nor a further one on these episodes."""
