"""The stages `evaluate`, `sample` and `chat` for language: models that only answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from plaudit.environments.language.answers import Answers, Graded
from plaudit.environments.language.collect import Speech, talk
from plaudit.errors import PlauditError
from plaudit.models.language import loading, reward_model
from plaudit.models.language.generation import Sampling
from plaudit.models.language.logprobs import Shaping
from plaudit.models.language.policy import PolicyConfig
from plaudit.pipeline import kinds
from plaudit.pipeline.language import hidden
from plaudit.pipeline.language.asking import fitted, prompts
from plaudit.pipeline.language.config import LanguageSettings
from plaudit.pipeline.language.evaluate import Judges, evaluate, wins
from plaudit.pipeline.language.parts import as_it_was
from plaudit.pipeline.language.teaching import learned
from plaudit.pipeline.run_folder import RunFolder
from plaudit.readers.texts import TextPrompt


@dataclass(frozen=True)
class AnswerConfig:
    """How a model answers."""

    answer_tokens: int = 64
    """The length cap of an answer."""
    shaping: Shaping | None = None
    """Temperature and nucleus; none: as the model was saved with, else 1."""
    greedy: bool = False
    """Always the likeliest token."""
    stop: tuple[str, ...] = ()
    """Further texts that end an answer, each of them one token."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    seed: int = 0
    """Seed of the answers."""


class Speaker:
    """A model that answers; nothing learns."""

    def __init__(self, place: str, config: AnswerConfig):
        lm, self.vocabulary = loading.load(model_in(place))
        self.context = loading.context_of(lm)
        self.config = config
        shaping = config.shaping or loading.shaping_of(lm)
        self.policy = as_it_was(lm.to(loading.device(config.device)), PolicyConfig(shaping=shaping))
        sampling = Sampling(config.answer_tokens, greedy=config.greedy)
        self.speech = Speech(self.vocabulary, self.vocabulary.stops(config.stop), sampling)
        self.generator = torch.Generator().manual_seed(config.seed)

    def answers(self, asked: Sequence[TextPrompt]) -> Answers:
        """One answer to each prompt; PlauditError for a prompt that does not fit the context."""
        room = None if self.context is None else self.context - self.config.answer_tokens
        ready = [fitted(row, self.vocabulary, room, "refuse") for row in asked]
        return talk(self.policy, [p for p in ready if p is not None], self.speech, self.generator).answers

    def reply(self, messages: Sequence[dict[str, str]], plain: bool) -> str:
        """The next turn of a conversation: through the chat template, or as one text where it is plain."""
        said: Any = tuple(messages)
        if plain:
            said = "\n".join(message["content"] for message in messages)
        return self.answers([TextPrompt(said, {}, "the conversation")]).completions[0].strip()


@dataclass(frozen=True)
class EvaluateConfig:
    """How a language model is evaluated."""

    against: str | None = None
    """The model its answers are compared with; none: the one the run started from."""
    language: LanguageSettings = LanguageSettings()
    """The prompts (those held out), and how they are answered."""
    reward: str | None = None
    """A folder with a reward model; none: that of the run."""
    hidden: str | None = None
    """What answers are truly worth: `rubric` or path/to/file.py:function; none: as the run says."""
    count: int = 200
    """Held-out prompts, at most."""
    shaping: Shaping | None = None
    """Temperature and nucleus; none: as the run says, or as the model was saved with."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    seed: int = 12345
    """Seed of the answers."""


def of_run(path: Path, config: EvaluateConfig) -> EvaluateConfig:
    """What a run's own config says where nothing else is given."""
    run = kinds.load(RunFolder.open(path).config)
    reward = path / "reward" if (path / "reward").exists() else run.reward.start
    return replace(
        config,
        against=config.against or run.start,
        language=run.language if config.language == LanguageSettings() else config.language,
        reward=config.reward or (None if reward is None else str(reward)),
        hidden=config.hidden or run.hidden,
        shaping=config.shaping or run.policy.shaping,
    )


def assess(place: str, config: EvaluateConfig) -> dict[str, Any]:
    """Hidden score, learned reward and KL on held-out prompts, and how often answers beat those of another model."""
    if config.reward is None and config.hidden is None:
        raise PlauditError("evaluate: nothing to judge answers by; give --reward FOLDER or --hidden")
    device = loading.device(config.device)
    lm, vocabulary = loading.load(model_in(place))
    said = config.language
    asked = prompts(said, vocabulary, loading.context_of(lm), config.seed).held_out[: config.count]
    speech = Speech(vocabulary, vocabulary.stops(said.stop), Sampling(said.answer_tokens), said.cap)
    form = PolicyConfig(shaping=config.shaping or loading.shaping_of(lm))
    policy, other = as_it_was(lm.to(device), form), None
    if config.against is not None:
        other = as_it_was(loading.load(model_in(config.against))[0].to(device), form)
    judges = Judges(_proxy(config, speech, device), hidden.find(config.hidden, 60.0), other)
    found = evaluate(policy, asked, speech, judges, config.seed)
    result: dict[str, Any] = found.metrics() | {"prompts": len(asked)}
    if config.reward is None:
        del result["proxy_mean"]
    if other is not None:
        before = evaluate(other, asked, speech, judges, config.seed)
        by = "learned reward" if judges.hidden is None else "hidden score"
        result |= wins(found.worth, before.worth).named() | {"win_by": by, "before": before.metrics()}
    return result


def model_in(place: str) -> str:
    """A model's folder: itself, or that of the policy in a run folder."""
    inner = Path(place) / "policy"
    return (
        str(inner)
        if (inner / "config.json").exists() and not (Path(place) / "config.json").exists()
        else place
    )


def _proxy(config: EvaluateConfig, speech: Speech, device: torch.device) -> Any:
    if config.reward is None:
        return lambda answers: Graded(torch.zeros(len(answers)))
    model = reward_model.begin(config.reward, torch.Generator()).to(device)
    return learned(model, speech)
