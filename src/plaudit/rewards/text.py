"""A reward learned for text: a model that scores a completion at its last token, and what to ask about a policy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from plaudit.batches import Rewards
from plaudit.batches.rows import moved
from plaudit.environments.language.prompts import PromptQueue
from plaudit.environments.language.rollouts import Completions, GenerationConfig, generate
from plaudit.errors import PlauditError
from plaudit.feedback import KINDS, shown_by
from plaudit.feedback.text_record import TextRecord
from plaudit.models.language.loading import context_of
from plaudit.models.language.reward_model import TextReward, Texts, texts
from plaudit.models.language.tokens import padded
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.rewards.gold import GoldReward, of_one
from plaudit.rewards.learned.loop import Wanted
from plaudit.rewards.learned.terms import Judgement, Term
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.store import NewQuery, Response

ATTEMPTS = 5
"""Draws of completions before a prompt is given up whose completions are always the same."""
RATE = 0.05
"""The usual step size times the width."""


@dataclass(frozen=True)
class TextOptions:
    """R judgements about up to C whole texts each."""

    ids: Int[Tensor, "R C L"]
    lengths: Int[Tensor, "R C"]
    """Tokens of each text; 0: the row has no such option."""


class CompletionStore:
    """The completions people are asked about, as artifacts."""

    def __init__(self, artifacts: Artifacts, gold: GoldReward | None):
        self.artifacts, self.gold = artifacts, gold
        self.loaded: dict[str, TextRecord] = {}

    def put(self, said: Completions, row: int) -> str:
        """Store one completion; its content hash."""
        return self.artifacts.put(record_of(said, row).to_json())

    def get(self, item: str) -> TextRecord:
        """A stored completion."""
        if item not in self.loaded:
            self.loaded[item] = TextRecord.from_json(self.artifacts.get(item))
        return self.loaded[item]

    def gold_rewards(self, item: str) -> np.ndarray:
        """What a completion is truly worth: for simulated people only."""
        assert self.gold is not None, "simulated people need a gold reward"
        return np.array([of_one(self.gold, self.get(item))])


def record_of(said: Completions, row: int) -> TextRecord:
    """One completion."""
    a = said.answers
    return TextRecord(
        prompt=a.prompts[row],
        completion=a.completions[row],
        messages=None if a.messages is None else tuple(a.messages[row]),
        tokens=tuple(a.tokens[row]),
        ended=bool(said.ended[row]),
        columns={name: column[row] for name, column in a.columns.items()},
    )


def comparison(
    store: CompletionStore, wanted: Wanted, tick: int, sides: Sequence[Completions], row: int
) -> NewQuery | None:
    """A question about completions of one prompt; none where people would see the same text twice."""
    if len({one.answers.completions[row] for one in sides}) < len(sides):
        return None
    items = tuple(store.put(one, row) for one in sides)
    payload: dict[str, Any] = {"prompt": sides[0].answers.prompts[row]}
    payload |= KINDS[wanted.kind].PAYLOAD
    return NewQuery(wanted.key, wanted.kind, items, tick, payload, purpose=wanted.purpose)


class CompletionReward:
    """A `RewardMedium`: a text's score at its last token."""

    def __init__(self, model: TextReward, read: Callable[[Any], Sequence[int]]):
        self.model, self.read = model, read
        """`read` gives the tokens of an option, with its prompt."""

    folds = 0

    @property
    def usual_rate(self) -> float:
        """One rate over the width: wide models bear smaller steps (Yang et al. 2022, arXiv:2203.03466)."""
        return RATE / self.model.model.score.in_features

    def tensors(self, rows: Sequence[Judgement]) -> TextOptions:
        """The options of judgements of one kind."""
        most = max(len(one.options) for one in rows)
        encoded = [[*map(self.read, one.options), *[()] * (most - len(one.options))] for one in rows]
        ids, lengths = padded([text for row in encoded for text in row])
        shape = len(rows), most
        return moved(TextOptions(ids.unflatten(0, shape), lengths.unflatten(0, shape)), self.model.device)

    def prepare(self, terms: Sequence[Term]) -> None:
        """Nothing: tokens have no scale."""

    def subsample(self, options: TextOptions, generator: torch.Generator) -> None:
        """Nothing: a text has one score."""

    def returns(self, options: TextOptions, subsample: None = None) -> Float[Tensor, "1 R C"]:
        """The scores of all options in one pass; 0 where a row has none."""
        lengths = options.lengths.transpose(0, 1)  # all first options, then all second ones
        there = lengths > 0
        found = self.model(Texts(options.ids.transpose(0, 1)[there], lengths[there]))
        scores = torch.zeros(there.shape, dtype=found.dtype, device=found.device)
        return scores.masked_scatter(there, found).transpose(0, 1)[None]

    def state_dict(self) -> dict[str, Any]:
        """The model with its zero and its scale."""
        return {
            "model": dict(self.model.model.state_dict()),
            "offset": self.model.offset,
            "scale": self.model.scale,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved model."""
        self.model.model.load_state_dict(state["model"])
        self.model.fix(state["offset"], state["scale"])


@dataclass(frozen=True)
class Asking:
    """What completions are asked about, and by whom they are made."""

    policy: Any
    queue: PromptQueue
    generation: GenerationConfig
    generator: torch.Generator
    question: str | None = None
    """What to judge by, in words for people."""
    options: int = 4
    """Completions of a ranking."""


class CompletionQuestions:
    """What to ask about the policy as it is, and what the reward model pays."""

    def __init__(self, store: CompletionStore, reward: CompletionReward, asking: Asking):
        self.store, self.reward, self.asking = store, reward, asking
        self.base: list[str] = []
        """The completions asked about at the very start: the scores of these have mean 0 and variance 1."""
        self.notes: set[str] = set()

    def ask(self, behaviour: Completions, wanted: Sequence[Wanted], tick: int) -> list[NewQuery]:
        """Fresh completions of the next prompts; fewer where the policy always says the same."""
        found: list[NewQuery] = []
        for kind in dict.fromkeys(one.kind for one in wanted):
            found += self._of_kind([one for one in wanted if one.kind == kind], tick)
        if tick == 0:
            self.base = sorted({*self.base, *(item for query in found for item in query.items)})
        if not found:
            raise PlauditError(
                "the model always says the same, so there is nothing to compare; raise the temperature"
            )
        return found

    def _of_kind(self, wanted: Sequence[Wanted], tick: int) -> list[NewQuery]:
        a, found, left = self.asking, [], list(wanted)
        sides = shown_by(wanted[0].kind, a.options)
        round_of = wanted[0].key.rpartition("/")[0]
        for attempt in range(ATTEMPTS):
            asked = [a.queue.prompts[i] for i in a.queue.take(len(left)).tolist()]
            said = [generate(a.policy, asked, a.generation, a.generator) for _ in range(sides)]
            missing = []
            for row, one in enumerate(left):
                key = f"{round_of}/{attempt}/{row}" if one.kind == "comparison" else f"{one.key}/{one.kind}"
                query = comparison(self.store, Wanted(key, one.kind, one.purpose), tick, said, row)
                if query is None:
                    missing.append(one)
                else:
                    found.append(self._worded(query))
            left = missing
            if not left:
                break
        return found

    def _worded(self, query: NewQuery) -> NewQuery:
        if self.asking.question is not None:
            query.payload["question"] = self.asking.question
        return query

    def normalise(self, behaviour: Completions, refitted: bool) -> None:
        """After a fit, give the completions asked about at the start mean 0 and variance 1, so that the price of KL
        keeps its meaning."""
        if refitted:
            read = [self.reward.read(item) for item in self.base]
            self.reward.model.standardise(texts(read, self.reward.model.device))

    def rewards(self, behaviour: Completions) -> Rewards:
        """What the model pays for completions."""
        return learned(self.reward.model, self.asking.generation.vocabulary)(behaviour)

    def heard(self, standing: Sequence[Response]) -> None:
        """Nothing: which prompts people can decide is not known beforehand."""

    def exploring(self, behaviour: Completions) -> Rewards:
        """Nothing: sampling explores by itself."""
        return Rewards(torch.zeros(len(behaviour.mask)), taught=False)

    def state_dict(self) -> dict[str, Any]:
        """What draws the questions."""
        return {
            "drawing": self.asking.generator.get_state(),
            "queue": self.asking.queue.state_dict(),
            "base": self.base,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.asking.generator.set_state(state["drawing"])
        self.asking.queue.load_state_dict(state["queue"])
        self.base = state["base"]


def answered_by(gold: GoldReward | None) -> Callable[[Completions], Rewards]:
    """The gold reward as a reward of completions, to measure by where nothing else is there; without one all are 0."""
    if gold is None:
        return lambda said: Rewards(torch.zeros(len(said.answers)))
    return lambda said: Rewards(gold(said.answers).float())


def sequence(model: TextReward, said: TextRecord, spoken: Vocabulary) -> list[int]:
    """A completion with its prompt in the reward model's tokens: the very ones that were sampled where it shares them,
    else encoded again, messages through its own chat template. What is longer than it reads loses its beginning.
    """
    own, messages, prompt_text = model.vocabulary, said.messages, said.prompt or ""
    if said.tokens is not None and same_tokens(own, spoken):
        prompt = own.prompt(prompt_text) if messages is None else own.encode(prompt_text)
        answer = list(said.tokens)
    else:
        templated = getattr(own.tokenizer, "chat_template", None) is not None
        prompt = own.prompt([dict(one) for one in messages] if messages and templated else prompt_text)
        answer = [*own.encode(str(said.completion)), *([own.end] if said.ended else [])]
    return model.reading([*prompt, *answer], said.columns or {}, context_of(model.model))


@lru_cache(maxsize=8)
def same_tokens(one: Vocabulary, other: Vocabulary) -> bool:
    """Every token of the other means the same in this one, which may have more, such as one for padding."""
    return one is other or other.tokenizer.get_vocab().items() <= one.tokenizer.get_vocab().items()


def learned(model: TextReward, spoken: Vocabulary) -> Callable[[Completions], Rewards]:
    """The reward model as a reward of completions in these tokens."""

    @torch.no_grad()
    def reward(said: Completions) -> Rewards:
        rows = [record_of(said, row) for row in range(len(said.answers))]
        batch = texts([sequence(model, one, spoken) for one in rows], model.device)
        return Rewards(model.rewards(batch).float().cpu())

    return reward
