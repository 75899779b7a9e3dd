"""Who says what they mean: reliability, side bias and leniency of every person, estimated with the reward.

Each has a prior, so that a few answers change little: reliability eta ~ Beta (Dawid and Skene 1979 have one per class),
side bias and leniency ~ normal around 0. They are parameters of the fit: after each step of the reward they take one
of their own, up the posterior of the same answers (generalised EM; Neal and Hinton 1998).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from plaudit.batches import Judgements
from plaudit.declared import NonNegative, Positive
from plaudit.trainers.steps import AdamOptimiser


@dataclass(frozen=True)
class PeopleConfig:
    """How people are told apart."""

    estimate: Literal["several", "always", "never"] = "several"
    """Estimate reliability, side bias and leniency where several people answer, always, or never."""
    reliable: Positive = 8.0
    """Prior answers of each person that say what they mean ..."""
    unreliable: Positive = 2.0
    """... and that say the opposite: Beta(reliable, unreliable)."""
    bias: Positive = 0.5
    """Prior standard deviation of side bias and leniency, in log-odds."""
    learning_rate: NonNegative = 0.1
    """Step size of Adam for these."""


class People:
    """The parameters of all people seen so far, by name."""

    def __init__(self, config: PeopleConfig):
        self.config = config
        self.names: list[str] = []
        self._grow(0)

    def meet(self, people: Sequence[str | None]) -> None:
        """Know everybody who answers, in the order in which they first did."""
        fresh = [name for name in dict.fromkeys(people) if name is not None and name not in self.names]
        if fresh:
            self.names += fresh
            self._grow(len(fresh))

    @property
    def estimated(self) -> bool:
        """Whether these parameters enter the likelihood."""
        wanted = self.config.estimate
        return bool(self.names) and (wanted == "always" or (wanted == "several" and len(self.names) > 1))

    def numbers(self, people: Sequence[str | None]) -> Int[Tensor, "R"]:
        """Everybody by number; -1: not known."""
        place = {name: number for number, name in enumerate(self.names)}
        return torch.tensor([-1 if name is None else place.get(name, -1) for name in people])

    def entering(self, judgements: Judgements, differentiable: bool = False) -> Judgements:
        """The judgements with what is known of whoever made them; as they are where nothing is estimated."""
        if not self.estimated or judgements.person is None:
            return judgements
        values = (self.values if differentiable else self.values.detach()).to(judgements.person.device)
        known = judgements.person >= 0
        mine = values[judgements.person.clamp(min=0)]
        names = {field.name for field in fields(judgements)}  # pyright: ignore
        shown = getattr(judgements, "shown", None)
        found = {"reliability": torch.where(known, mine[:, 0].sigmoid(), 1.0)}
        if "side_bias" in names:
            bias = torch.where(known, mine[:, 1], 0.0)
            found["side_bias"] = torch.zeros_like(bias) if shown is None else bias * shown
        if "leniency" in names:
            found["leniency"] = torch.where(known, mine[:, 2], 0.0)
        return replace(judgements, **{name: value for name, value in found.items() if name in names})  # pyright: ignore

    def step(self, nll: Float[Tensor, ""]) -> None:
        """One step down the negative log-posterior of all answers, given the likelihood part of it."""
        self.optimiser.step(nll + self._prior(), self.config.learning_rate, None)

    def report(self) -> dict[str, dict[str, float]]:
        """By name, as plain numbers."""
        rows = self.values.detach()
        return {
            name: {
                "reliability": float(row[0].sigmoid()),
                "side_bias": float(row[1]),
                "leniency": float(row[2]),
            }
            for name, row in zip(self.names, rows, strict=True)
        }

    def state_dict(self) -> dict[str, Any]:
        """Everybody's parameters and how they are being moved."""
        return {
            "names": list(self.names),
            "values": self.values.detach().clone(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.names = list(state["names"])
        self._set(state["values"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _prior(self) -> Float[Tensor, ""]:
        c, values = self.config, self.values
        eta = values[:, 0]
        log_eta, log_not = nn.functional.logsigmoid(eta), nn.functional.logsigmoid(-eta)
        beta = -((c.reliable - 1) * log_eta + (c.unreliable - 1) * log_not).sum()
        return beta + (values[:, 1:] ** 2).sum() / (2 * c.bias**2)

    def _grow(self, count: int) -> None:
        """Room for more people, who begin at the prior's mode."""
        c = self.config
        mode = max(c.reliable - 1, 1e-3) / max(c.reliable + c.unreliable - 2, 2e-3)
        fresh = torch.zeros(count, 3)
        fresh[:, 0] = torch.logit(torch.tensor(min(mode, 0.99)))
        if not hasattr(self, "values"):
            self._set(fresh)
            return
        before, shape = self.optimiser.state_dict(), self.values.shape
        self._set(torch.cat([self.values.detach(), fresh]))
        padded = {
            name: torch.cat([before[name].view(shape), torch.zeros_like(fresh)]).reshape(-1)
            for name in ("mean", "square")
        }
        self.optimiser.load_state_dict(before | padded)

    def _set(self, values: Float[Tensor, "K 3"]) -> None:
        self.values = nn.Parameter(values.clone())
        self.optimiser = AdamOptimiser([self.values])
