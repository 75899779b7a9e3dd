"""Behaviour cloning (Pomerleau 1991, eq. 1); of tokens, fine-tuning (Ouyang et al. 2022, arXiv:2203.02155)."""

from dataclasses import dataclass

from plaudit.batches import Demonstrations, Loss, Scores
from plaudit.declared import Finite
from plaudit.maths import masked


@dataclass(frozen=True)
class Config:
    """The mathematics of cloning."""

    entropy_coef: Finite = 0.0
    """Weight of an entropy bonus that keeps the clone from being surer than its data."""


def loss(new: Scores, demonstrations: Demonstrations, config: Config) -> Loss:
    """Mean negative log-probability of the demonstrated decisions."""
    nll = -masked.mean(new.logp, demonstrations.mask)
    entropy = masked.mean(new.entropy, demonstrations.mask)
    metrics = {"loss/nll_avg": nll, "policy/entropy_avg": entropy}
    return Loss(
        nll=nll,
        entropy=-config.entropy_coef * entropy,
        metrics={name: value.detach() for name, value in metrics.items()},
    )
