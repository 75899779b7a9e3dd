"""How a policy for continuous actions varies them, as a value: `GaussianNoise()` or `StateDependent(resample=4)`."""

from dataclasses import dataclass

from plaudit.declared import Count


@dataclass(frozen=True)
class GaussianNoise:
    """Fresh noise at every step, of one size in all states."""


@dataclass(frozen=True)
class StateDependent:
    """Generalised state-dependent exploration (Raffin et al. 2021, arXiv:2005.05719, section 3).

    The noise of an action is a linear function of the last hidden layer, whose weights are drawn now and then: between
    two draws one state gets one noise, so that what is tried is smooth.
    """

    resample: Count | None = None
    """Steps after which the weights are drawn anew; none: only where a rollout begins."""
    learn_features: bool = False
    """Let the size of the noise teach the hidden layers too, not only its own parameters."""


Exploration = GaussianNoise | StateDependent
