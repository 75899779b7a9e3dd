"""REINFORCE leave-one-out (Kool et al. 2019; Ahmadian et al. 2024, arXiv:2402.14740, eq. 7)."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Episodes, Loss, Needs, Scores
from plaudit.declared import Count, NonNegative
from plaudit.maths import groups, kl, masked
from plaudit.maths.kl import Kl
from plaudit.maths.returns import row_returns


@dataclass(frozen=True)
class Config:
    """The mathematics of RLOO: a whole episode is one action, its baseline is the mean return of the others."""

    others_at_least: Count = 1
    """Rows besides itself that a row is compared with, at least."""
    kl: Kl = Kl()
    """The price of leaving the reference."""
    entropy_coef: NonNegative = 0.0
    """Weight of the entropy bonus."""


def needs(config: Config) -> Needs:
    """Groups of whole episodes, no critic; one epoch, as there is no probability ratio."""
    return Needs(reference=config.kl.coef > 0, unit="episodes", group=1 + config.others_at_least, epochs=1)


def advantages(episodes: Episodes, config: Config) -> Float[Tensor, "B T"]:
    """R_i minus the mean of the others' returns, at every decision of the row; rewards after the KL price."""
    charged = kl.in_reward(episodes, config.kl)
    assert charged.group is not None, "RLOO needs rows in groups"
    advantage = groups.leave_one_out(row_returns(charged), charged.group)
    return advantage[:, None] * charged.mask


def loss(new: Scores, episodes: Episodes, advantages: Float[Tensor, "B T"], config: Config) -> Loss:
    """-mean_i A_i log pi(row i): log-probabilities are summed over the decisions of a row."""
    mask = episodes.mask
    rows = mask.any(dim=1).sum().clamp(min=1)
    policy = -masked.total(advantages * new.logp, mask) / rows
    entropy = masked.mean(new.entropy, mask)
    metrics = {
        "loss/policy_avg": policy,
        "policy/entropy_avg": entropy,
        "policy/approxkl_avg": masked.mean(kl.k3(episodes.logp, new.logp), mask),
    }
    return Loss(
        policy,
        {name: value.detach() for name, value in metrics.items()},
        entropy=-config.entropy_coef * entropy,
        penalties=kl.in_loss(new.logp, episodes, config.kl),
    )
