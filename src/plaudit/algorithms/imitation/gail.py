"""Generative adversarial imitation learning (Ho and Ermon 2016, arXiv:1606.03476, eq. 14 and 17)."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from plaudit.batches import Loss
from plaudit.declared import NonNegative


@dataclass(frozen=True)
class Config:
    """The mathematics of GAIL. D is the probability that a decision is the demonstrator's."""

    reward: Literal["-log(1-D)", "log(D)", "logit"] = "-log(1-D)"
    """What the policy is paid: never negative, never positive (for tasks that end when solved), or of both signs."""
    entropy_coef: NonNegative = 1e-3
    """Weight of the entropy of D, which keeps it from being sure too soon."""


def loss(expert: Float[Tensor, "N"], policy: Float[Tensor, "M"], config: Config) -> Loss:
    """-E_expert[log D] - E_policy[log(1 - D)] minus the entropy bonus, in the logits of D."""
    nll = -logsigmoid(expert).mean() - logsigmoid(-policy).mean()
    entropy = 0.5 * (_entropy(expert).mean() + _entropy(policy).mean())
    metrics = {
        "discriminator/nll": nll,
        "discriminator/accuracy": 0.5 * ((expert > 0).double().mean() + (policy <= 0).double().mean()),
        "discriminator/entropy": entropy,
    }
    return Loss(
        nll=nll,
        entropy=-config.entropy_coef * entropy,
        metrics={name: value.detach() for name, value in metrics.items()},
    )


def reward(logits: Float[Tensor, "B T"], config: Config) -> Float[Tensor, "B T"]:
    """What each decision is worth by the discriminator's logits."""
    if config.reward == "logit":
        return logits
    return softplus(logits) if config.reward == "-log(1-D)" else -softplus(-logits)


def _entropy(logits: Float[Tensor, "N"]) -> Float[Tensor, "N"]:
    """Of a coin with these log-odds, in nats."""
    p = logits.sigmoid()
    return -(p * logsigmoid(logits) + (1 - p) * logsigmoid(-logits))
