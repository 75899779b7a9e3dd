"""A language model that learns further from a learned reward, on the prompts that people have judged answers to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plaudit.api.arguments import bar, divergence_named, positive
from plaudit.api.feedback import Feedback
from plaudit.api.reward import RewardModel
from plaudit.api.trainer import STEADIER, PPOConfig, reference_of, updater_of
from plaudit.environments.language.config import Language
from plaudit.environments.language.prompts import Prompt, PromptQueue
from plaudit.environments.language.rollouts import GenerationConfig, LanguageRollouts
from plaudit.models.language import loading
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import LanguagePolicy
from plaudit.readers.texts import TextPrompt
from plaudit.rewards.source import Fixed
from plaudit.rewards.text import learned
from plaudit.runs.config import RunConfig
from plaudit.runs.streams import generator
from plaudit.stages.adapters.prompts import fitted, room_for
from plaudit.trainers.on_policy import OnPolicy

UPDATES = 40
"""Updates, unless `updates` says."""
DEFAULTS: dict[str, Any] = {"batch_size": 32, "mini_batch_size": 16}
"""Besides those of PPOConfig."""
RATE = 0.016
"""The usual step size times the width of the model."""
LONGEST = 64
"""Tokens of an answer at most, unless `max_new_tokens` says; fewer where the judged answers are shorter."""


class LanguageTuner:
    """A language model with its tokenizer."""

    medium = "text"

    def __init__(self, place: str, seed: int):
        self.place, self.seed = place, seed
        lm, self.vocabulary = loading.load(place)
        self.policy = lm.to(loading.device("auto"))
        self.shaping = loading.shaping_of(lm)
        self.metrics: dict[str, float] = {}

    def tune(
        self, feedback: Feedback, reward: RewardModel, progress_bar: bool, settings: Mapping[str, Any]
    ) -> None:
        """Optimise the learned reward; the reference is the model as it is now."""
        rest = dict(settings)
        updates = positive(rest.pop("updates", UPDATES), "updates")
        config = self._config(feedback, rest)
        assert isinstance(config.environment, Language)
        most, batch = config.environment.max_new_tokens, config.environment.batch_size
        sampling = Sampling(most, rows=config.policy.rows)
        generation = GenerationConfig(self.vocabulary, self.vocabulary.stops(), sampling)
        queue = PromptQueue(self._prompts(feedback, most), generator(self.seed, "prompts"))
        reference = reference_of(self.policy, config)
        policy = LanguagePolicy(self.policy, config.policy, generator(self.seed, "policy"))
        learner = OnPolicy(
            updater_of(policy, config, self.seed),
            LanguageRollouts(queue, generation, batch, generator(self.seed, "answers")),
            Fixed(learned(reward.model, self.vocabulary)),
            updates,
            reference,
        )
        memory = loading.memory_explained("batch_size, mini_batch_size or max_new_tokens")
        steady = divergence_named(STEADIER)
        with memory, steady, bar("fine-tune", updates, progress_bar, "update") as shown:
            while not learner.done:
                found = learner.step()
                shown({"update": learner.updates} | found)
        self.metrics = learner.updater.metrics

    def save(self, folder: Path) -> None:
        """Write the model as transformers reads it."""
        loading.keep_shaping(self.policy, self.shaping, self.vocabulary.stops())
        loading.save(folder, self.policy, self.vocabulary)

    def _config(self, feedback: Feedback, given: dict[str, Any]) -> RunConfig:
        """The settings given, and for the others what fits this model and feedback."""
        usual = DEFAULTS | {"temperature": self.shaping.temperature, "top_p": self.shaping.top_p}
        usual |= {"learning_rate": RATE / self.policy.config.get_text_config().hidden_size}
        usual |= {"max_new_tokens": self._usual_length(feedback), "seed": self.seed}
        config = PPOConfig.over(usual, given).config
        self.shaping = config.policy.shaping
        return config

    def _usual_length(self, feedback: Feedback) -> int:
        """As long as most of the judged answers, and at most half of what the model reads."""
        lengths = sorted(
            len(self.vocabulary.completion(text if isinstance(text, str) else list(text), _asked(row.prompt)))
            for row in feedback.rows
            for text in row.options
        )
        context = loading.context_of(self.policy)
        return max(1, min(lengths[9 * len(lengths) // 10], LONGEST, (context or 2 * LONGEST) // 2))

    def _prompts(self, feedback: Feedback, most: int) -> list[Prompt]:
        """Every prompt of the feedback once; what is too long loses its beginning."""
        room = room_for(most, loading.context_of(self.policy), "max_new_tokens")
        first: dict[str, TextPrompt] = {}
        for row in feedback.rows:
            first.setdefault(repr(row.prompt), TextPrompt(row.prompt or "", {}, row.where))
        made = [fitted(prompt, self.vocabulary, room, "cut") for prompt in first.values()]
        return [prompt for prompt in made if prompt is not None]


def _asked(prompt: Any) -> Any:
    return prompt if isinstance(prompt, str) else list(prompt)
