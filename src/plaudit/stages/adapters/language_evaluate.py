"""A language model on held-out prompts, beside another one."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from plaudit.batches import Rewards
from plaudit.environments.language.prompts import Prompt
from plaudit.environments.language.rollouts import GenerationConfig
from plaudit.errors import PlauditError
from plaudit.models.language import loading, reward_model
from plaudit.models.language.config import PolicyConfig
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import LanguagePolicy, as_it_was
from plaudit.models.language.reward_model import TextReward
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.rewards import gold
from plaudit.rewards.source import Fixed, RewardSource
from plaudit.rewards.text import same_tokens
from plaudit.runs import agreement
from plaudit.runs.config import RewardSettings
from plaudit.runs.settings import validate
from plaudit.stages.adapters.language_models import weighted
from plaudit.stages.adapters.prompts import held_out_for
from plaudit.stages.adapters.text_evaluation import Evaluation, Scorers, evaluate, paid, wins
from plaudit.stages.evaluate import EvaluateText
from plaudit.stages.generate import model_in


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
    form = PolicyConfig(shaping=shaping, rows=config.rows)
    policy = as_it_was(lm.to(loading.device(config.device)), form)
    sampling = Sampling(said.max_new_tokens, rows=config.rows)
    generation = GenerationConfig(vocabulary, vocabulary.stops(said.stop), sampling, said.cap)
    return _Side(policy, form, vocabulary, loading.context_of(lm), generation)


def _scored(side: _Side, prompts: list[Prompt], scorers: Scorers, seed: int) -> Evaluation:
    return evaluate(side.policy, prompts, side.generation, scorers, seed)


def _proxy(config: EvaluateText, model: TextReward | None, generation: GenerationConfig) -> RewardSource:
    if model is None and not config.functions:
        return Fixed(lambda said: Rewards(torch.zeros(len(said.answers))))
    settings = RewardSettings(weights=config.weights, functions=config.functions)
    return weighted(settings, model, generation)
