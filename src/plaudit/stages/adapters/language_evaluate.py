"""A language model on held-out prompts, beside another one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Rewards
from plaudit.environments.language.prompts import Prompt
from plaudit.environments.language.rollouts import Completions, GenerationConfig, generate, repetition
from plaudit.errors import PlauditError
from plaudit.maths import kl
from plaudit.models.language import loading, reward_model
from plaudit.models.language.config import PolicyConfig
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import LanguagePolicy, WithoutAdapters, as_it_was
from plaudit.models.language.reward_model import TextReward
from plaudit.models.language.tokens import Tokens
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.rewards import gold
from plaudit.rewards.gold import GoldReward
from plaudit.rewards.text import same_tokens
from plaudit.rewards.weighted import Fixed, RewardSource
from plaudit.runs import agreement
from plaudit.runs.config import RewardSettings
from plaudit.runs.settings import validate
from plaudit.runs.statistics import share_interval
from plaudit.stages.adapters.language_models import weighted
from plaudit.stages.adapters.prompts import held_out_for
from plaudit.stages.evaluate import EvaluateText
from plaudit.stages.generate import model_in


@dataclass(frozen=True)
class Scorers:
    """By what completions are measured."""

    proxy: RewardSource
    """What the policy is optimised for."""
    gold: GoldReward | None
    """What they are truly worth."""
    reference: LanguagePolicy | WithoutAdapters | None
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
    policy: LanguagePolicy | WithoutAdapters,
    asked: Sequence[Prompt],
    generation: GenerationConfig,
    scorers: Scorers,
    seed: int,
) -> Evaluation:
    """One answer to each prompt, drawn as in training."""
    said = generate(policy, asked, generation, torch.Generator().manual_seed(seed))
    distance = None
    if scorers.reference is not None:  # nothing is at any distance from itself
        distance = 0.0 if policy is scorers.reference else measured(policy, scorers.reference, said.record)
    gold = None if scorers.gold is None else scorers.gold(said.answers)
    return Evaluation(said, scorers.proxy.rewards(said).scores, gold, distance)


@torch.no_grad()
def measured(
    policy: LanguagePolicy | WithoutAdapters, reference: LanguagePolicy | WithoutAdapters, record: Tokens
) -> float:
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


def evaluated(place: str, config: EvaluateText) -> dict[str, Any]:
    """Each model reads and completes in its own tokens; between models of different tokens there is no KL. PlauditError
    where a number of the config is out of its range, fields do not agree, or memory is full."""
    validate(config)
    agreement.prompts(config.environment, config.gold_reward)
    _scores_well(config)
    with loading.memory_explained("rows or environment.max_new_tokens"):
        return _evaluated(place, config)


def _scores_well(config: EvaluateText) -> None:
    """Raise PlauditError where nothing says what completions are worth, or a reward is given and does not count."""
    if config.reward is None and not config.functions and config.gold_reward is None:
        raise PlauditError("evaluate: nothing to score answers by; give --reward FOLDER or --gold-reward")
    given = {*config.functions, *(["learned"] if config.reward is not None else [])}
    if unweighted := sorted(given - set(config.weights)):
        name = unweighted[0]
        raise PlauditError(
            f"weights: {name!r} has none, so answers would not be scored by it; add --set weights.{name}=1"
        )


def _evaluated(place: str, config: EvaluateText) -> dict[str, Any]:
    one = _side(place, config)
    other = None
    if config.against is not None:
        other = _side(config.against, replace(config, shaping=one.form.shaping))
    sides = [side for side in (one, other) if side is not None]
    model = None if config.reward is None else reward_model.trained(config.reward).to(one.policy.device)
    if model is not None:
        model.rows = config.rows
    readers = [(side.vocabulary, side.context) for side in sides]
    asked = held_out_for(config.environment, readers, config.count)
    truth = gold.find(config.gold_reward, 60.0)
    comparable = other is not None and same_tokens(other.vocabulary, one.vocabulary)
    reference = other.policy if other is not None and comparable else None
    found = [
        _scored(side, prompts, Scorers(_proxy(config, model, side.generation), truth, reference), config.seed)
        for side, prompts in zip(sides, asked, strict=True)
    ]
    by_proxy = model is not None or bool(config.functions)
    told = [
        {name: value for name, value in each.metrics().items() if by_proxy or name != "proxy_reward_mean"}
        for each in found
    ]
    result = told[0] | {"prompts": len(asked[0])}
    if other is not None:
        by = paid(config.weights) if truth is None else "gold reward"
        result |= wins(found[0].worth, found[1].worth).named() | {"win_by": by, "before": told[1]}
    return result


@dataclass(frozen=True)
class _Side:
    """A model that is evaluated, with what it speaks."""

    policy: LanguagePolicy
    form: PolicyConfig
    vocabulary: Vocabulary
    context: int | None
    generation: GenerationConfig


def _side(place: str, config: EvaluateText) -> _Side:
    lm, vocabulary = loading.load(model_in(place))
    said, shaping = config.environment, config.shaping or loading.shaping_of(lm)
    form = PolicyConfig(shaping=shaping, rows=config.rows, dtype=config.dtype)
    policy = as_it_was(lm.to(loading.device(config.device)), form)
    sampling = Sampling(said.max_new_tokens, rows=config.rows)
    generation = GenerationConfig(vocabulary, vocabulary.stops(said.stop), sampling, said.cap)
    return _Side(policy, form, vocabulary, loading.context_of(lm), generation)


def _scored(side: _Side, prompts: list[Prompt], scorers: Scorers, seed: int) -> Evaluation:
    return evaluate(side.policy, prompts, side.generation, scorers, seed)


def _proxy(
    config: EvaluateText, model: TextReward | None, generation: GenerationConfig
) -> RewardSource[Completions]:
    if model is None and not config.functions:
        return Fixed(lambda said: Rewards(torch.zeros(len(said.answers))))
    settings = RewardSettings(weights=config.weights, functions=config.functions)
    return weighted(settings, model, generation)
