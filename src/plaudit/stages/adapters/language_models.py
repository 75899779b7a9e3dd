"""What a language run works with: the policy, what it began as, rewards and prompts, loaded or made from a config."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch

from plaudit.environments.language.config import Language
from plaudit.environments.language.prompts import PromptQueue
from plaudit.environments.language.rollouts import GenerationConfig
from plaudit.errors import PlauditError
from plaudit.models.language import loading, reward_model
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import LanguagePolicy, WithoutAdapters, as_it_was
from plaudit.models.language.reward_model import TextReward
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.rewards import functions, gold
from plaudit.rewards.gold import GoldReward
from plaudit.rewards.text import learned, same_tokens
from plaudit.rewards.weighted import Fixed, Part, RewardSource, Weighted
from plaudit.runs import provenance
from plaudit.runs.config import RewardSettings, RunConfig
from plaudit.runs.streams import generator
from plaudit.stages.adapters.prompts import Prompts, prompts


@dataclass
class Models:
    """What a run works with; of these only the policy and the reward model learn."""

    policy: LanguagePolicy
    start: LanguagePolicy | WithoutAdapters
    """The policy as it was, with `generate` and `scores`."""
    reference: Any | None
    """What leaving has a price; none where nothing is priced, so that no forward pass is spent on it."""
    generation: GenerationConfig
    prompts: Prompts
    reward: TextReward | None
    gold: GoldReward | None
    made_of: dict[str, tuple[str, str]]
    """By field of the config what was read, and the hash of it."""

    def queue(self, seed: int, purpose: str) -> PromptQueue:
        """The prompts to learn from, in an order of its own for each purpose."""
        return PromptQueue(self.prompts.train, generator(seed, purpose))


def models(config: RunConfig) -> Models:
    """Load and make everything; PlauditError where something does not fit."""
    device = loading.device(config.device)
    lm, vocabulary = loading.load(str(config.start))
    environment = config.environment
    assert isinstance(environment, Language)
    asked = prompts(environment, vocabulary, loading.context_of(lm), config.seed)
    made_of = {
        "start": (str(config.start), provenance.of_weights(lm)),
        "environment.prompts": (environment.prompts, provenance.of_prompts(asked.train, asked.held_out)),
    }
    lm = lm.to(device)
    start: Any = None
    if config.policy.lora is None:
        start = as_it_was(deepcopy(lm), config.policy)
    policy = LanguagePolicy(lm, config.policy, generator(config.seed, "policy"))
    if start is None:
        start = policy.reference()
    sampling = Sampling(environment.max_new_tokens, rows=config.policy.rows)
    stops = vocabulary.stops(environment.stop)
    count = environment.num_generations
    generation = GenerationConfig(vocabulary, stops, sampling, environment.cap, count)
    longest = max(len(p.tokens) for p in [*asked.train, *asked.held_out]) + environment.max_new_tokens
    reference, model = _reference(config, start, vocabulary, longest), _reward_model(config, device)
    if reference is not None and config.reference is not None:
        made_of["reference"] = config.reference, provenance.of_weights(reference.lm)
    if model is not None and config.reward.start is not None:
        made_of["reward.start"] = config.reward.start, provenance.of_weights(model.model)
    held_out = asked.held_out[: config.evaluate_count]
    return Models(
        policy,
        start,
        reference,
        generation,
        replace(asked, held_out=held_out),
        model,
        gold.find(config.gold_reward, config.reward.time_limit),
        made_of,
    )


def weighted(
    settings: RewardSettings,
    model: TextReward | None,
    generation: GenerationConfig,
    taught: RewardSource | None = None,
) -> Weighted:
    """The mix of a config: the learned reward (by the source that teaches it, where there is one) and functions."""
    parts: dict[str, Part] = {}
    if model is not None and "learned" in settings.weights:
        source = Fixed(learned(model, generation.vocabulary)) if taught is None else taught
        parts["learned"] = Part(settings.weights["learned"], source)
    for name, place in settings.functions.items():
        function = functions.adapt(functions.load(place), name, settings.time_limit)
        parts[name] = Part(settings.weights.get(name, 0.0), Fixed(_of_answers(function)))
    return Weighted(parts)


def _of_answers(function: functions.Reward) -> Any:
    return lambda said: function(said.answers)


def paying(settings: RewardSettings) -> bool:
    """Whether anything is there to pay for completions."""
    return settings.start is not None or bool(settings.functions)


def _reference(
    config: RunConfig, start: LanguagePolicy | WithoutAdapters, vocabulary: Vocabulary, longest: int
) -> Any | None:
    if not config.needs.reference:
        return None
    if config.reference is None:
        return start
    lm, own = loading.load(config.reference)
    if not same_tokens(own, vocabulary):
        raise PlauditError(
            f"reference: {config.reference} has another tokenizer than {config.start}, so their tokens cannot be "
            "compared; give a reference with the same one"
        )
    context = loading.context_of(lm)
    if context is not None and context < longest:
        raise PlauditError(
            f"reference: {config.reference} reads {context} tokens, but the longest prompt and its answer may have "
            f"{longest}; give one that reads more, or lower environment.max_new_tokens"
        )
    return as_it_was(lm.to(start.device), config.policy)


def _reward_model(config: RunConfig, device: torch.device) -> TextReward | None:
    """The reward model; one that nothing teaches was trained before, and without a weight it is read to be logged."""
    settings = config.reward
    if "learned" not in settings.weights or not (settings.weights["learned"] or settings.start):
        return None
    if settings.start and not config.feedback.labels:
        made = reward_model.trained(settings.start)
    elif config.feedback.labels:
        made = reward_model.begin(settings.start or str(config.start), generator(config.seed, "reward"))
    else:
        return None
    made.rows, made.dtype = config.policy.rows, config.policy.dtype
    return made.to(device)
