"""The stages `evaluate`, `sample` and `chat` for language: models that only answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from plaudit.declared import Count, Finite, Positive, Share
from plaudit.environments.language.answers import Answers, Graded, Reward
from plaudit.environments.language.collect import Speech, talk
from plaudit.environments.language.prompts import Prompt
from plaudit.errors import PlauditError
from plaudit.models.language import loading, reward_model
from plaudit.models.language.generation import Sampling
from plaudit.models.language.logprobs import Shaping
from plaudit.models.language.policy import LanguagePolicy, PolicyConfig, as_it_was
from plaudit.models.language.reward_model import TextReward
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.pipeline import kinds
from plaudit.pipeline.language import config as run_config
from plaudit.pipeline.language import hidden
from plaudit.pipeline.language.asking import fitted, held_out_for, room_for
from plaudit.pipeline.language.config import LanguageSettings, RewardSettings
from plaudit.pipeline.language.evaluate import Evaluation, Judges, evaluate, paid, wins
from plaudit.pipeline.language.parts import mixture
from plaudit.pipeline.language.teaching import same_tokens
from plaudit.readers.texts import TextPrompt
from plaudit.runs.folder import RunFolder
from plaudit.runs.settings import validate


@dataclass(frozen=True)
class AnswerConfig:
    """How a model answers."""

    answer_tokens: Count = 64
    """The length cap of an answer."""
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
    seed: int = 0
    """Seed of the answers."""


class Speaker:
    """A model that answers; nothing learns."""

    def __init__(self, place: str, config: AnswerConfig):
        validate(config)
        self.config = config
        with self._memory_explained():
            lm, self.vocabulary = loading.load(model_in(place))
            self.room = room_for(config.answer_tokens, loading.context_of(lm), "answer_tokens")
            shaping = _shaping(config, loading.shaping_of(lm))
            self.policy = as_it_was(lm.to(loading.device(config.device)), PolicyConfig(shaping=shaping))
        sampling = Sampling(config.answer_tokens, greedy=config.greedy, rows=config.rows)
        self.speech = Speech(self.vocabulary, self.vocabulary.stops(config.stop), sampling)
        self.generator = torch.Generator().manual_seed(config.seed)

    def answers(self, asked: Sequence[TextPrompt]) -> Answers:
        """One answer to each prompt; PlauditError for a prompt that does not fit the context, or where memory is
        full."""
        advice = "shorten it or lower answer_tokens"
        ready = [fitted(row, self.vocabulary, self.room, "refuse", advice) for row in asked]
        with self._memory_explained():
            some = [prompt for prompt in ready if prompt is not None]
            return talk(self.policy, some, self.speech, self.generator).answers

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
        return loading.memory_explained("rows or answer_tokens")


def _shaping(config: AnswerConfig, saved: Shaping) -> Shaping:
    """What is asked for; the rest as the model was saved with."""
    given = {name: getattr(config, name) for name in ("temperature", "top_p")}
    return replace(saved, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class EvaluateConfig:
    """How a language model is evaluated."""

    against: str | None = None
    """The model its answers are compared with; none: the one the run started from."""
    language: LanguageSettings = LanguageSettings()
    """The prompts (those held out), and how they are answered."""
    reward: str | None = None
    """A folder with a reward model; none: that of the run."""
    weights: dict[str, Finite] = field(default_factory=lambda: {"learned": 1.0})
    """Weights of the reward model (`learned`) and of the functions, by name; as the run says."""
    functions: dict[str, str] = field(default_factory=dict)
    """Reward functions by name, each as path/to/file.py:function; as the run says."""
    hidden: str | None = None
    """What answers are truly worth: `rubric` or path/to/file.py:function; none: as the run says."""
    count: Count = 200
    """Held-out prompts, at most."""
    shaping: Shaping | None = None
    """Temperature and nucleus; none: as the run says, or as the model was saved with."""
    rows: Count = 64
    """Answers drawn and read at once; less needs less memory."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    seed: int = 12345
    """Seed of the answers."""


def of_run(path: Path, prompts: str | None = None) -> EvaluateConfig:
    """How a run's own config would have it evaluated; what else is given goes on top.

    With other prompts than the run's, its splits and its file to evaluate on say nothing any more.
    """
    run = kinds.load(RunFolder.open(path).config)
    reward = path / "reward" if (path / "reward").exists() else run.reward.start
    reward = reward if "learned" in run.reward.weights else None
    language = run.language
    if prompts is not None and Path(prompts).resolve() != Path(language.prompts).resolve():
        language = replace(language, prompts=prompts, split=None, evaluate_on=None, evaluate_split=None)
    return EvaluateConfig(
        against=run.start,
        language=language,
        reward=None if reward is None else str(reward),
        weights=run.reward.weights,
        functions=run.reward.functions,
        hidden=run.hidden,
        shaping=run.policy.shaping,
        rows=run.policy.rows,
    )


def assess(place: str, config: EvaluateConfig) -> dict[str, Any]:
    """Hidden score, learned reward and KL on held-out prompts, and how often answers beat those of another model.

    Each model reads and answers in its own tokens; between models of different tokens there is no KL. PlauditError
    where a number of the config is out of its range, fields do not agree, or memory is full.
    """
    validate(config)
    run_config.asks_well(config.language, config.hidden)
    _judges_well(config)
    with loading.memory_explained("rows or language.answer_tokens"):
        return _assessed(place, config)


def _judges_well(config: EvaluateConfig) -> None:
    """Raise PlauditError where nothing says what answers are worth, or a reward is given and does not count."""
    if config.reward is None and not config.functions and config.hidden is None:
        raise PlauditError("evaluate: nothing to judge answers by; give --reward FOLDER or --hidden")
    given = {*config.functions, *(["learned"] if config.reward is not None else [])}
    if unweighted := sorted(given - set(config.weights)):
        name = unweighted[0]
        raise PlauditError(
            f"weights: {name!r} has none, so answers would not be judged by it; add --set weights.{name}=1"
        )


def _assessed(place: str, config: EvaluateConfig) -> dict[str, Any]:
    one = _side(place, config)
    other = (
        None if config.against is None else _side(config.against, replace(config, shaping=one.form.shaping))
    )
    sides = [side for side in (one, other) if side is not None]
    model = None if config.reward is None else reward_model.trained(config.reward).to(one.policy.device)
    if model is not None:
        model.rows = config.rows
    asked = held_out_for(config.language, [(side.vocabulary, side.context) for side in sides], config.count)
    truth = hidden.find(config.hidden, 60.0)
    judged_by = model is not None or bool(config.functions)
    reference = other
    if other is not None and not same_tokens(other.vocabulary, one.vocabulary):
        reference = None

    def judged(side: _Side, prompts: list[Prompt]) -> Evaluation:
        kl_to = None if reference is None else reference.policy
        judges = Judges(_proxy(config, model, side.speech), truth, kl_to)
        return evaluate(side.policy, prompts, side.speech, judges, config.seed)

    def named(found: Evaluation) -> dict[str, Any]:
        return {name: value for name, value in found.metrics().items() if judged_by or name != "proxy_mean"}

    found = judged(one, asked[0])
    result = named(found) | {"prompts": len(asked[0])}
    if other is not None:
        before = judged(other, asked[1])
        by = paid(config.weights) if truth is None else "hidden score"
        result |= wins(found.worth, before.worth).named() | {"win_by": by, "before": named(before)}
    return result


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


@dataclass(frozen=True)
class _Side:
    """A model that is evaluated, with what it speaks."""

    policy: LanguagePolicy
    form: PolicyConfig
    vocabulary: Vocabulary
    context: int | None
    speech: Speech


def _side(place: str, config: EvaluateConfig) -> _Side:
    lm, vocabulary = loading.load(model_in(place))
    said, form = (
        config.language,
        PolicyConfig(shaping=config.shaping or loading.shaping_of(lm), rows=config.rows),
    )
    policy = as_it_was(lm.to(loading.device(config.device)), form)
    sampling = Sampling(said.answer_tokens, rows=config.rows)
    speech = Speech(vocabulary, vocabulary.stops(said.stop), sampling, said.cap)
    return _Side(policy, form, vocabulary, loading.context_of(lm), speech)


def _proxy(config: EvaluateConfig, model: TextReward | None, speech: Speech) -> Reward:
    if model is None and not config.functions:
        return lambda answers: Graded(torch.zeros(len(answers)))
    return mixture(RewardSettings(config.weights, config.functions), model, speech)
