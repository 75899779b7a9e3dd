"""The parts of a language run, made from its config."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch

from plaudit.rewards import functions as callables
from plaudit.environments.language.answers import Reward
from plaudit.environments.language.rollouts import GenerationConfig
from plaudit.environments.language.mixture import Mixture
from plaudit.environments.language.prompts import PromptQueue
from plaudit.errors import PlauditError
from plaudit.models.language import loading, reward_model
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import LanguagePolicy, as_it_was
from plaudit.models.language.reward_model import TextReward
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.rewards.learned.session import FeedbackSession
from plaudit.rewards import gold as hidden
from plaudit.runs import provenance as origins
from plaudit.stages.adapters.prompts import Prompts, prompts
from plaudit.pipeline.language.config import RewardSettings, RunConfig
from plaudit.stages.adapters.text_evaluation import Judges
from plaudit.rewards.gold import GoldReward
from plaudit.rewards.text import SegmentStore, LanguageTeaching, learned, same_tokens
from plaudit.rewards.learned.loop import Preferences, people
from plaudit.runs.folder import RunFolder
from plaudit.seeds import seed_of
from plaudit.storage import Artifacts, open_store
from plaudit.storage.commands import Commands


@dataclass
class Parts:
    """What a run works with; of these only the policy and the reward model learn."""

    policy: LanguagePolicy
    start: Any
    """The policy as it was, with `generate` and `scores`."""
    reference: Any | None
    """What the KL price is to; none where nothing is priced, so that no forward pass is spent on it."""
    speech: GenerationConfig
    prompts: Prompts
    model: TextReward | None
    hidden: GoldReward | None
    made_of: dict[str, tuple[str, str]]
    """By field of the config what was read, and the hash of it."""

    def queue(self, seed: int, purpose: str) -> PromptQueue:
        """The prompts to learn from, in an order of its own for each purpose."""
        return PromptQueue(self.prompts.train, generator(seed, purpose))

    def judges(self, config: RunConfig) -> Judges:
        """By what answers are measured."""
        return Judges(self.reward(config), self.hidden, self.start)

    def reward(self, config: RunConfig) -> Reward:
        """What is optimised."""
        return mixture(config.reward, self.model, self.speech)


def parts(config: RunConfig) -> Parts:
    """Load and make everything; PlauditError where something does not fit."""
    device = loading.device(config.device)
    lm, vocabulary = loading.load(config.start)
    asked = prompts(config.language, vocabulary, loading.context_of(lm), config.seed)
    made_of = {
        "start": (config.start, origins.of_weights(lm)),
        "language.prompts": (config.language.prompts, origins.of_prompts(asked.train, asked.held_out)),
    }
    lm = lm.to(device)
    start: Any = None
    if config.policy.lora is None:
        start = as_it_was(deepcopy(lm), config.policy)
    policy = LanguagePolicy(lm, config.policy, generator(config.seed, "policy"))
    if start is None:
        start = policy.reference()
    said = config.language
    sampling = Sampling(said.answer_tokens, rows=config.policy.rows)
    speech = GenerationConfig(vocabulary, vocabulary.stops(said.stop), sampling, said.cap, said.each)
    longest = max(len(prompt.tokens) for prompt in [*asked.train, *asked.held_out]) + said.answer_tokens
    reference, model = _reference(config, start, vocabulary, longest), _model(config, device)
    if reference is not None and config.reference is not None:
        made_of["reference"] = config.reference, origins.of_weights(reference.lm)
    if model is not None and config.reward.start is not None:
        made_of["reward.start"] = config.reward.start, origins.of_weights(model.model)
    return Parts(
        policy,
        start,
        reference,
        speech,
        replace(asked, held_out=asked.held_out[: config.evaluate_prompts]),
        model,
        hidden.find(config.hidden, config.reward.time_limit),
        made_of,
    )


def mixture(settings: RewardSettings, model: TextReward | None, speech: GenerationConfig) -> Mixture:
    """The weighted parts of a reward, each logged apart."""
    parts = {}
    if model is not None and "learned" in settings.weights:
        parts["learned"] = (settings.weights["learned"], learned(model, speech))
    for name, place in settings.functions.items():
        given = callables.adapt(callables.load(place), name, settings.time_limit)
        parts[name] = (settings.weights.get(name, 0.0), given)
    return Mixture(parts)


def preferences(config: RunConfig, made: Parts, folder: RunFolder) -> tuple[Preferences, SegmentStore] | None:
    """The human side, where people are part of the run; with them the answers they are asked about."""
    if not config.feedback.labels and not config.watch.every:
        return None
    store = open_store(folder.feedback, seed_of(config.seed, "sides"))
    archive = SegmentStore(Artifacts(folder.artifacts), made.hidden)
    persons = people(config.feedback.people, config.seed)
    desk = FeedbackSession(store, archive.artifacts, Commands(store), archive.hidden_rewards, persons)
    learner = None
    if made.model is not None:
        asking = made.queue(config.seed, "questions"), made.speech, generator(config.seed, "compared answers")
        learner = LanguageTeaching(
            archive, config.reward, made.model, asking, generator(config.seed, "feedback")
        )
    return Preferences(desk, config.feedback, learner), archive


def generator(seed: int, purpose: str) -> torch.Generator:
    """A stream of its own for each purpose."""
    return torch.Generator().manual_seed(seed_of(seed, purpose))


def _reference(config: RunConfig, start: Any, vocabulary: Vocabulary, longest: int) -> Any | None:
    priced = any(getattr(config.settings, name, 0) for name in ("kl_in_reward", "kl_in_loss"))
    if not priced:
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
            f"{longest}; give one that reads more, or lower language.answer_tokens"
        )
    return as_it_was(lm.to(start.device), config.policy)


def _model(config: RunConfig, device: torch.device) -> TextReward | None:
    """The reward model; one that nothing teaches was trained before, and without a weight it is read to be logged."""
    settings = config.reward
    if "learned" not in settings.weights or not (settings.weights["learned"] or settings.start):
        return None
    if settings.start and not config.feedback.labels:
        made = reward_model.trained(settings.start)
    else:
        made = reward_model.begin(settings.start or config.start, generator(config.seed, "reward"))
    made.rows, made.dtype = config.policy.rows, config.policy.dtype
    return made.to(device)
