"""How good completions are: by the gold reward, by the proxy, and beside those of another model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.environments.language.prompts import Prompt
from plaudit.environments.language.rollouts import Completions, GenerationConfig, generate, repetition
from plaudit.maths import kl
from plaudit.models.language.tokens import Tokens
from plaudit.rewards.gold import GoldReward
from plaudit.rewards.source import RewardSource
from plaudit.runs.statistics import share_interval


@dataclass(frozen=True)
class Scorers:
    """By what completions are measured."""

    proxy: RewardSource
    """What the policy is optimised for."""
    gold: GoldReward | None
    """What they are truly worth."""
    reference: Any | None
    """The model as it started: KL is measured from it."""


@dataclass(frozen=True)
class Evaluation:
    """Answers to held-out prompts, and what they are worth."""

    said: Completions
    proxy: Float[Tensor, "B"]
    gold: Float[Tensor, "B"] | None
    kl: float | None
    """k1, summed over an answer, in nats."""

    @property
    def worth(self) -> Float[Tensor, "B"]:
        """The gold reward, or where there is none the proxy."""
        return self.proxy if self.gold is None else self.gold

    def scored_again(self, proxy: RewardSource) -> "Evaluation":
        """The same answers by a reward that has learned since."""
        return replace(self, proxy=proxy.rewards(self.said).scores)

    def scores(self) -> dict[str, list[float] | None]:
        """What each answer is worth."""
        return {
            "proxy_reward": self.proxy.tolist(),
            "gold_reward": None if self.gold is None else self.gold.tolist(),
        }

    def metrics(self) -> dict[str, float]:
        """The means, named."""
        tokens = self.said.answers.tokens
        found = {
            "proxy_reward_mean": float(self.proxy.mean()),
            "tokens": sum(map(len, tokens)) / len(tokens),
            "repetition": sum(map(repetition, tokens)) / len(tokens),
            "capped": float((~self.said.ended).float().mean()),
        }
        if self.gold is not None:
            spread = float(self.gold.std()) if len(self.gold) > 1 else 0.0
            found |= {"gold_reward_mean": float(self.gold.mean()), "gold_reward_std": spread}
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
def evaluate(
    policy: Any, asked: Sequence[Prompt], generation: GenerationConfig, scorers: Scorers, seed: int
) -> Evaluation:
    """One answer to each prompt, drawn as in training."""
    said = generate(policy, asked, generation, torch.Generator().manual_seed(seed))
    distance = None
    if scorers.reference is not None:  # nothing is at any distance from itself
        distance = 0.0 if policy is scorers.reference else measured(policy, scorers.reference, said.record)
    gold = None if scorers.gold is None else scorers.gold(said.answers)
    return Evaluation(said, scorers.proxy.rewards(said).scores, gold, distance)


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
    """How often the first of two completions of a prompt has the larger score, with its `share_interval`."""
    points = (one > other).double() + 0.5 * (one == other).double()
    rate, low, high = share_interval(points.tolist())
    return Wins(rate, low, high, float((one == other).double().mean()), len(points))
