"""The stage `generate`: a language model completes prompts (`plaudit sample`) or talks (`plaudit chat`)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from plaudit.declared import Count, Positive, Share, Whole
from plaudit.environments.language.prompts import Answers
from plaudit.environments.language.rollouts import GenerationConfig, generate
from plaudit.errors import PlauditError
from plaudit.models.language import loading
from plaudit.models.language.config import PolicyConfig, Shaping
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import as_it_was
from plaudit.readers.texts import TextPrompt
from plaudit.runs.settings import validate
from plaudit.stages.adapters.prompts import fitted, room_for


@dataclass(frozen=True)
class GenerateConfig:
    """How a model answers."""

    max_new_tokens: Count = 64
    """The length cap of a completion."""
    temperature: Positive | None = None
    """Logits are divided by it; none: as the model was saved with, else 1."""
    top_p: Share | None = None
    """Only the likeliest tokens that together reach this probability; none: as the model was saved with, else 1."""
    greedy: bool = False
    """Always the likeliest token."""
    stop: tuple[str, ...] = ()
    """Further texts that end an answer, each of them one token."""
    rows: Count = 64
    """Answers drawn at once; less needs less memory."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    seed: Whole = 0
    """Seed of the answers."""


class Generator:
    """A model that answers; nothing learns."""

    def __init__(self, place: str, config: GenerateConfig):
        validate(config)
        self.config = config
        with self._memory_explained():
            lm, self.vocabulary = loading.load(model_in(place))
            self.room = room_for(config.max_new_tokens, loading.context_of(lm), "max_new_tokens")
            shaping = _shaping(config, loading.shaping_of(lm))
            self.policy = as_it_was(lm.to(loading.device(config.device)), PolicyConfig(shaping=shaping))
        sampling = Sampling(config.max_new_tokens, greedy=config.greedy, rows=config.rows)
        self.generation = GenerationConfig(self.vocabulary, self.vocabulary.stops(config.stop), sampling)
        self.generator = torch.Generator().manual_seed(config.seed)

    def answers(self, asked: Sequence[TextPrompt]) -> Answers:
        """One answer to each prompt; PlauditError for a prompt that does not fit the context, or where memory is
        full."""
        advice = "shorten it or lower max_new_tokens"
        ready = [fitted(row, self.vocabulary, self.room, "refuse", advice) for row in asked]
        with self._memory_explained():
            some = [prompt for prompt in ready if prompt is not None]
            return generate(self.policy, some, self.generation, self.generator).answers

    def reply(self, messages: Sequence[dict[str, str]], plain: bool) -> str:
        """The next turn of a conversation: through the chat template, or as one text where it is plain."""
        said: Any = tuple(messages)
        if plain:
            said = "\n".join(message["content"] for message in messages)
        return self.answers([TextPrompt(said, {}, "the conversation")]).completions[0].strip()

    def recent(self, messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        """The latest turns of a conversation that fit beside an answer, from one of the user's on; at least the
        last one."""
        turns = list(messages)
        while len(turns) > 2 and self.room is not None and len(self.vocabulary.prompt(turns)) > self.room:
            turns = turns[2:]
        return turns

    def _memory_explained(self) -> Any:
        return loading.memory_explained("rows or max_new_tokens")


def _shaping(config: GenerateConfig, saved: Shaping) -> Shaping:
    """What is asked for; the rest as the model was saved with."""
    given = {name: getattr(config, name) for name in ("temperature", "top_p")}
    return replace(saved, **{name: value for name, value in given.items() if value is not None})


def model_in(place: str) -> str:
    """A model's folder: itself, or that of the policy in a run folder. PlauditError for a run that has none yet."""
    folder = Path(place)
    if (folder / "config.json").exists():
        return place
    if (folder / "policy" / "config.json").exists():
        return str(folder / "policy")
    if (folder / "manifest.json").exists() and not (folder / "policy").exists():
        raise PlauditError(
            f"{place}: this run is not finished, so there is no policy in it; resume it first: plaudit resume {place}"
        )
    return place
