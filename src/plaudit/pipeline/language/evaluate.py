"""How good answers are: by the hidden score, by the learned reward, and beside the answers of another model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.environments.language.answers import Reward
from plaudit.environments.language.collect import Speech, Talk, repetition, talk
from plaudit.environments.language.prompts import Prompt
from plaudit.maths import kl
from plaudit.models.language.tokens import Tokens
from plaudit.pipeline.language.hidden import Hidden
from plaudit.runs.statistics import mean_interval


@dataclass(frozen=True)
class Judges:
    """By what answers are measured."""

    proxy: Reward
    """What the policy is optimised for."""
    hidden: Hidden | None
    """What they are truly worth."""
    reference: Any | None
    """The model as it started: KL is measured from it."""


@dataclass(frozen=True)
class Evaluation:
    """Answers to held-out prompts, and what they are worth."""

    said: Talk
    proxy: Float[Tensor, "B"]
    hidden: Float[Tensor, "B"] | None
    kl: float | None
    """k1, summed over an answer, in nats."""

    @property
    def worth(self) -> Float[Tensor, "B"]:
        """The hidden score, or where there is none the proxy."""
        return self.proxy if self.hidden is None else self.hidden

    def judged_again(self, proxy: Reward) -> "Evaluation":
        """The same answers by a reward that has learned since."""
        return replace(self, proxy=proxy(self.said.answers).scores)

    def scores(self) -> dict[str, list[float] | None]:
        """What each answer is worth."""
        return {"proxy": self.proxy.tolist(), "hidden": None if self.hidden is None else self.hidden.tolist()}

    def metrics(self) -> dict[str, float]:
        """The means, named."""
        tokens = self.said.answers.tokens
        found = {
            "proxy_mean": float(self.proxy.mean()),
            "tokens": sum(map(len, tokens)) / len(tokens),
            "repetition": sum(map(repetition, tokens)) / len(tokens),
            "capped": float((~self.said.ended).float().mean()),
        }
        if self.hidden is not None:
            spread = float(self.hidden.std()) if len(self.hidden) > 1 else 0.0
            found |= {"hidden_mean": float(self.hidden.mean()), "hidden_std": spread}
        if self.kl is not None:
            found["kl_per_answer"] = self.kl
        return found


@dataclass(frozen=True)
class Wins:
    """How often one model's answer is better than another's to the same prompt; a tie is half a win."""

    rate: float
    low: float
    high: float
    """Bounds of the 95 % interval over prompts."""
    ties: float
    """Share of ties."""
    prompts: int

    def named(self, prefix: str = "win_") -> dict[str, Any]:
        """As plain values."""
        return {f"{prefix}{name}": value for name, value in asdict(self).items()}


@torch.no_grad()
def evaluate(policy: Any, asked: Sequence[Prompt], speech: Speech, judges: Judges, seed: int) -> Evaluation:
    """One answer to each prompt, drawn as in training."""
    said = talk(policy, asked, speech, torch.Generator().manual_seed(seed))
    distance = None
    if judges.reference is not None:  # nothing is at any distance from itself
        distance = 0.0 if policy is judges.reference else measured(policy, judges.reference, said.record)
    hidden = None if judges.hidden is None else judges.hidden(said.answers)
    return Evaluation(said, judges.proxy(said.answers).scores, hidden, distance)


@torch.no_grad()
def measured(policy: Any, reference: Any, record: Tokens) -> float:
    """KL(policy || reference) by k1 on these answers of the policy, summed over an answer, in nats."""
    distance = kl.k1(policy.scores(record).logp, reference.scores(record).logp)
    return float((distance * record.mask).sum(dim=1).mean())


def paid(weights: Mapping[str, float]) -> str:
    """What a reward with these weights is called: the learned one is called so where nothing else counts."""
    alone = {name for name, weight in weights.items() if weight} == {"learned"}
    return "learned reward" if alone else "reward"


def wins(one: Float[Tensor, "B"], other: Float[Tensor, "B"]) -> Wins:
    """How often the first of two answers to a prompt has the larger score.

    The interval is the t-interval as if one more win and one more loss had been seen (Bonett and Price 2012, Journal of
    Educational and Behavioral Statistics 37(4), there with normal quantiles): it keeps its width where everything is
    won, lost or tied.
    """
    points = (one > other).double() + 0.5 * (one == other).double()
    _, low, high = mean_interval([*points.tolist(), 1.0, 0.0])
    ties = float((one == other).double().mean())
    return Wins(float(points.mean()), max(0.0, low), min(1.0, high), ties, len(points))
