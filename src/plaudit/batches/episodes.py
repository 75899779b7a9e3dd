"""Episodes: what the formulas see of behaviour, [B, T] tensors over decisions.

A decision is the unit at which a policy chooses and has a log-probability: a token in language, an environment
step in control. Termination, truncation, padding and dead steps are four different things, and all are data.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor

from plaudit.errors import PlauditError


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
    discount: float = 1.0
    """The usual discount of the environment per decision; 1 for text."""


@dataclass(frozen=True)
class Scores:
    """What a policy says now about recorded decisions; differentiable. Of pairs, [P, 2, T]."""

    logp: Float[Tensor, "*B T"]
    """log pi(a_t | s_t)."""
    entropy: Float[Tensor, "*B T"]
    """Entropy of pi(. | s_t), in nats."""
    values: Float[Tensor, "*B T"] | None = None
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
class Rewards:
    """What a source pays for B rows of behaviour."""

    scores: Float[Tensor, "B"]
    """One number per row, float32: of a whole completion, or the sum over a row's decisions."""
    dense: Float[Tensor, "B T"] | None = None
    """One number per decision, 0 outside the mask; None: a score counts at the last decision of its row."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What else is worth logging, by name."""
    taught: bool = True
    """False: nobody knows yet what behaviour is worth, and a learner leaves its policy as it is. Paying 0 would not do:
    advantages are measured from what an untrained critic expects, and standardised."""


@dataclass(frozen=True)
class Loss:
    """What to descend, in parts that are weighted already, and what to tell about it.

    A trust region limits the policy part by `kl` and descends the value part by itself; whoever takes plain steps
    descends their sum, `total`.
    """

    policy: Float[Tensor, ""] | None = None
    """The surrogate of the policy."""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Named, masked, detached scalars."""
    stop: bool = False
    """True: a limit of the algorithm is passed; take neither this step nor a further one on these episodes."""
    _: KW_ONLY
    nll: Float[Tensor, ""] | None = None
    """A negative log-likelihood: of demonstrated decisions, of preferences, of what people said."""
    entropy: Float[Tensor, ""] | None = None
    """The entropy bonus, as a loss."""
    value: Float[Tensor, ""] | None = None
    """The error of the critic."""
    penalties: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
    """Further terms by name, such as the KL to a reference."""
    kl: Float[Tensor, ""] | None = None
    """KL(old || new) per decision, differentiable; what a trust region limits. No part of the total."""

    @staticmethod
    def of(found: object) -> "Loss":
        """What a file of anybody's returned. PlauditError where it is no loss, or a metric no tensor."""
        if not isinstance(found, Loss):
            raise PlauditError(
                f"loss: it returned a {type(found).__name__}; return plaudit.batches.Loss(policy=..., metrics=...)"
            )
        for name, value in found.metrics.items():
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise PlauditError(
                    f"loss.metrics.{name}: one number in a tensor is wanted, not {_shape(value)}; detach and mask it"
                )
        return found

    @property
    def parts(self) -> dict[str, Tensor]:
        """The parts that are there, in the order they are added. PlauditError for one that is not a scalar."""
        own = {"policy": self.policy, "nll": self.nll, "entropy": self.entropy, "value": self.value}
        found = {name: part for name, part in (own | dict(self.penalties)).items() if part is not None}
        for name, part in found.items():
            if not isinstance(part, Tensor) or part.ndim:
                raise PlauditError(
                    f"loss.{name}: one number is wanted, not {_shape(part)}; take the mean over the decisions"
                )
        return found

    @property
    def total(self) -> Float[Tensor, ""]:
        """The sum of the parts. PlauditError where there is none."""
        parts = list(self.parts.values())
        if not parts:
            raise PlauditError("loss: it has no part to descend; give policy, nll or value")
        return sum(parts[1:], parts[0])


def _shape(value: object) -> object:
    return list(value.shape) if isinstance(value, Tensor) else type(value).__name__
