"""Direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290, eq. 7)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from plaudit.batches import Loss, Needs, Pairs, Scores
from plaudit.declared import Positive, Probability
from plaudit.maths import masked


@dataclass(frozen=True)
class Config:
    """The mathematics of DPO."""

    beta: Positive = 0.1
    """Price per nat of leaving the reference: the reward of a row is beta * log(pi / pi_ref)."""
    label_smoothing: Probability = 0.0
    """Share of preferences taken to be coin flips (Mitchell 2023, conservative DPO, with twice its epsilon)."""


def needs(config: Config) -> Needs:
    """Log-probabilities of the policy that learning starts from."""
    return Needs(reference=True)


def loss(new: Scores, pairs: Pairs, config: Config) -> Loss:
    """-log sigma(beta (log pi/pi_ref of the preferred - log pi/pi_ref of the other)), summed over a row's decisions.

    An equal pair counts half for either side. At the reference itself the loss is ln 2.
    """
    rewards = config.beta * _log_ratio(new, pairs)
    margin = rewards[:, 0] - rewards[:, 1]
    preference = pairs.preference * (1 - config.label_smoothing) + 0.5 * config.label_smoothing
    nll = -(preference * logsigmoid(margin) + (1 - preference) * logsigmoid(-margin))
    weight = torch.ones_like(nll) if pairs.weight is None else pairs.weight
    leaning = torch.sign(pairs.preference - 0.5) * margin  # towards the preferred side; 0 for a tie
    decided = pairs.preference.ne(0.5).sum().clamp(min=1)
    total = (weight * nll).sum() / weight.sum()
    first = (pairs.preference >= 0.5)[:, None]
    chosen = torch.where(first, rewards, rewards.flip(1))
    metrics = {
        "loss/nll_avg": total,
        "rewards/chosen": chosen[:, 0].mean(),
        "rewards/rejected": chosen[:, 1].mean(),
        "rewards/margins": leaning.sum() / decided,
        "rewards/accuracies": (leaning > 0).sum() / decided,
    }
    return Loss(nll=total, metrics={name: value.detach() for name, value in metrics.items()})


def _log_ratio(new: Scores, pairs: Pairs) -> Float[Tensor, "P 2"]:
    if pairs.ref_logp is None:
        raise ValueError("DPO needs pairs with ref_logp; load a reference policy")
    return masked.row_total(new.logp - pairs.ref_logp, pairs.mask)
