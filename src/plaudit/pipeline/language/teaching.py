"""What it takes to learn a reward for text from comparisons of two answers to one prompt."""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Comparisons
from plaudit.environments.language.answers import Answers, Graded
from plaudit.environments.language.collect import Speech, Talk, talk
from plaudit.environments.language.prompts import PromptQueue
from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.likelihoods import bradley_terry
from plaudit.models.language.loading import context_of
from plaudit.models.language.reward_model import TextPairs, TextReward, Texts, pair_scores, texts
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.pipeline.language.config import RewardSettings
from plaudit.pipeline.language.hidden import Hidden, of_one
from plaudit.pipeline.preferences import SAID
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.store import NewQuery, Response
from plaudit.trainers import reward_fit
from plaudit.trainers.descent import Adam


class Archive:
    """The answers people are asked about, as artifacts."""

    def __init__(self, artifacts: Artifacts, hidden: Hidden | None):
        self.artifacts, self.hidden = artifacts, hidden
        self.loaded: dict[str, dict[str, Any]] = {}

    def put(self, said: Talk, row: int) -> str:
        """Store one answer; its content hash."""
        a = said.answers
        about = {
            "prompt": a.prompts[row],
            "completion": a.completions[row],
            "tokens": list(a.tokens[row]),
            "ended": bool(said.ended[row]),
            "columns": {name: column[row] for name, column in a.columns.items()},
            "messages": None if a.messages is None else list(a.messages[row]),
        }
        return self.artifacts.put(json.dumps(about, ensure_ascii=False, sort_keys=True).encode())

    def get(self, item: str) -> dict[str, Any]:
        """A stored answer."""
        if item not in self.loaded:
            self.loaded[item] = json.loads(self.artifacts.get(item))
        return self.loaded[item]

    def hidden_rewards(self, item: str) -> np.ndarray:
        """What an answer is truly worth: for simulated people only."""
        assert self.hidden is not None, "simulated people need a hidden score"
        return np.array([of_one(self.hidden, self.get(item))])


def question(archive: Archive, key: str, tick: int, said: tuple[Talk, Talk], row: int) -> NewQuery | None:
    """A comparison of two answers to one prompt; none where people would see the same text twice."""
    if said[0].answers.completions[row] == said[1].answers.completions[row]:
        return None
    items = tuple(archive.put(one, row) for one in said)
    return NewQuery(key, "comparison", items, tick, {"prompt": said[0].answers.prompts[row]})


class LanguageTeaching:
    """A reward model that learns from comparisons of answers."""

    def __init__(
        self,
        archive: Archive,
        settings: RewardSettings,
        model: TextReward,
        asking: tuple[PromptQueue, Speech, torch.Generator],
        generator: torch.Generator,
    ):
        self.archive, self.settings, self.model = archive, settings, model
        self.queue, self.speech, self.drawing = asking
        self.generator = generator
        self.likelihood = settings.likelihood
        self.optimiser = Adam(model.parameters(), weight_decay=settings.fit.weight_decay)
        self.base: list[str] = []
        """The answers asked about at the very start: the scores of these have mean 0 and variance 1."""

    def questions(self, behaviour: Any, count: int, key: str, tick: int) -> list[NewQuery]:
        """Two fresh answers of the policy to each of the next prompts; fewer where it always says the same."""
        found: list[NewQuery] = []
        for attempt in range(5):
            wanted = count - len(found)
            asked = [self.queue.prompts[i] for i in self.queue.take(wanted).tolist()]
            said = (
                talk(behaviour, asked, self.speech, self.drawing),
                talk(behaviour, asked, self.speech, self.drawing),
            )
            names = (f"{key}/{attempt}/{row}" for row in range(wanted))
            made = [question(self.archive, name, tick, said, row) for row, name in enumerate(names)]
            found += [query for query in made if query is not None]
            if len(found) == count:
                break
        if tick == 0:
            self.base = sorted({*self.base, *(item for query in found for item in query.items)})
        if not found:
            raise PlauditError(
                "the model always says the same, so there is nothing to compare; raise the temperature"
            )
        return found

    def pairs(self, responses: Sequence[Response]) -> TextPairs | None:
        """The decided and equal comparisons as tensors."""
        said = [
            r.feedback for r in responses if isinstance(r.feedback, Comparison) and r.feedback.answer in SAID
        ]
        if not said:
            return None
        first, second = (self._texts([one.options[side] for one in said]) for side in (0, 1))
        preference = torch.tensor([SAID[one.answer] for one in said], device=self.model.device)
        return TextPairs(first, second, Comparisons(preference))

    @torch.no_grad()
    def returns(self, pairs: TextPairs) -> Float[Tensor, "P 2"]:
        """The scores of both answers of every pair."""
        return pair_scores(self.model, pairs)

    def fit(self, pairs: TextPairs, first: bool) -> dict[str, float]:
        """Go on from the fit before; then fix zero and scale over the answers asked about at the start."""
        fit = self.settings.fit
        plan = (fit, fit.first_steps if first else fit.steps)
        metrics = fit_pairs(self.model, self.optimiser, pairs, (self.likelihood, plan), self.generator)
        self.model.standardise(self._texts(self.base))
        return metrics

    def settle(self, behaviour: Any) -> None:
        """Nothing: the scale is that of the answers at the start, so that the price of KL keeps its meaning."""

    def state_dict(self) -> dict[str, Any]:
        """The model, its optimiser and what draws the questions."""
        return {
            "model": dict(self.model.model.state_dict()),
            "offset": self.model.offset,
            "scale": self.model.scale,
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "drawing": self.drawing.get_state(),
            "queue": self.queue.state_dict(),
            "base": self.base,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.model.model.load_state_dict(state["model"])
        self.model.fix(state["offset"], state["scale"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.drawing.set_state(state["drawing"])
        self.queue.load_state_dict(state["queue"])
        self.base = state["base"]

    def _texts(self, items: Sequence[str]) -> Texts:
        said = [self.archive.get(item) for item in items]
        same = self.speech.vocabulary
        return texts([sequence(self.model, one, same) for one in said], self.model.device)


def fit_pairs(
    model: TextReward,
    optimiser: Adam,
    pairs: TextPairs,
    how: tuple[bradley_terry.Config, tuple[reward_fit.Config, int]],
    generator: torch.Generator,
) -> dict[str, float]:
    """Fit a reward model to pairs of texts."""
    likelihood, plan = how

    def at_step(_: torch.Generator) -> reward_fit.Returns:
        return lambda part: pair_scores(model, part)[None]

    return reward_fit.fit(
        at_step, optimiser, pairs, reward_fit.Likelihood(bradley_terry, likelihood), plan, generator
    )


def sequence(model: TextReward, said: dict[str, Any], spoken: Vocabulary) -> list[int]:
    """An answer with its prompt in the reward model's tokens: the very ones that were sampled where it shares them,
    else encoded again, messages through its own chat template. What is longer than it reads loses its beginning.

    Of `said` it needs `prompt` (what the speaker read), `completion`, `tokens`, `ended`, `columns` and `messages`.
    """
    own, messages = model.vocabulary, said.get("messages")
    if same_tokens(own, spoken):
        prompt = own.prompt(said["prompt"]) if messages is None else own.encode(said["prompt"])
        answer = list(said["tokens"])
    else:
        templated = getattr(own.tokenizer, "chat_template", None) is not None
        prompt = own.prompt(list(messages) if messages and templated else said["prompt"])
        answer = [*own.encode(said["completion"]), *([own.end] if said["ended"] else [])]
    return model.reading([*prompt, *answer], said.get("columns", {}), context_of(model.model))


@lru_cache(maxsize=8)
def same_tokens(one: Vocabulary, other: Vocabulary) -> bool:
    """Every token of the other means the same in this one, which may have more, such as one for padding."""
    return one is other or other.tokenizer.get_vocab().items() <= one.tokenizer.get_vocab().items()


def learned(model: TextReward, speech: Speech) -> Callable[[Answers], Graded]:
    """The reward model as a reward of answers."""

    @torch.no_grad()
    def reward(answers: Answers) -> Graded:
        messages = answers.messages or (None,) * len(answers)
        said = zip(answers.prompts, answers.completions, answers.tokens, messages, strict=True)
        rows = [
            {"prompt": p, "completion": c, "tokens": t, "ended": t[-1] in speech.stops, "messages": m}
            | {"columns": {name: column[i] for name, column in answers.columns.items()}}
            for i, (p, c, t, m) in enumerate(said)
        ]
        batch = texts([sequence(model, row, speech.vocabulary) for row in rows], model.device)
        return Graded(model.rewards(batch).float().cpu())

    return reward
