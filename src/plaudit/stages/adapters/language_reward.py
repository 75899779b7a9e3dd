"""A reward for text from files: texts as the reward model reads them, and rules to compare it with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plaudit.errors import PlauditError, placed
from plaudit.feedback.text_record import TextRecord
from plaudit.models.language import loading, reward_model
from plaudit.models.language.reward_model import TextReward, texts
from plaudit.readers.judgements import Judged
from plaudit.rewards.learned.loop import FeedbackLoop, FeedbackSession, simulated_people
from plaudit.rewards.learned.trainer import RewardTrainer
from plaudit.rewards.text import (
    Asking,
    CompletionQuestions,
    CompletionReward,
    CompletionStore,
    answered_by,
    sequence,
)
from plaudit.rewards.weighted import Fixed, Part, Weighted
from plaudit.runs import algorithms
from plaudit.runs.config import RunConfig
from plaudit.runs.folder import RunFolder
from plaudit.runs.streams import generator
from plaudit.seeds import seed_of
from plaudit.stages.adapters.language_models import Models, paying, weighted
from plaudit.stages.reward import RewardFromFiles
from plaudit.storage import Artifacts, open_store
from plaudit.storage.store import Commands

MEMORY = "rows, fit.minibatch_size, fit.microbatch_size or length"
"""What to lower where memory runs out."""
MOST_SCALED = 512
"""Texts over which zero and scale are fixed, at most."""


def medium(rows: Sequence[Judged], config: RewardFromFiles, known: TextReward | None) -> CompletionReward:
    """A reward model to begin from, and how it reads a text."""
    if known is None:
        if not config.start:
            raise PlauditError("start: give the folder of a language model to start from")
        known = reward_model.begin(config.start, generator(config.seed, "reward"))
        known = known.to(loading.device(config.device))
    model = known
    model.rows = config.rows
    if config.judged_by:
        model.model.config.reward_judged_by = list(config.judged_by)
    most = loading.context_of(model.model)
    if config.length is not None and most is not None and config.length > most:
        raise PlauditError(f"length: {config.length} tokens are more than the model's {most}; lower it")
    return CompletionReward(model, Reader(model, config.length or most or 1024))


@dataclass(frozen=True)
class Reader:
    """How texts of a file are read."""

    model: TextReward
    most: int
    """Tokens of a text at most: what is longer loses its beginning."""

    def __call__(self, said: TextRecord) -> list[int]:
        """The tokens of one text."""
        return read(self.model, said, self.most)


def notes(reward: CompletionReward, rows: Sequence[Judged]) -> list[str]:
    """What somebody should know of these rows: how many are read in part."""
    reader = reward.read
    if not isinstance(reader, Reader):
        return []
    uncut = replace(reader, most=reader.most + 1)
    cut = sum(any(len(uncut(said)) > reader.most for said in one.things) for one in rows)
    if not cut:
        return []
    context = loading.context_of(reader.model.model)
    larger = (
        "raise length"
        if context is None or reader.most < context
        else "start from one with a larger new.context"
    )
    return [
        f"{cut} of {len(rows)} rows have a text of more than the {reader.most} tokens that the model reads: the "
        f"beginning was left out; {larger}"
    ]


def read(model: TextReward, said: TextRecord, most: int) -> list[int]:
    """A prompt and a completion in the model's tokens: the very ones that were sampled where they are its own."""
    own = model.vocabulary
    if (
        said.tokens is not None
        and own.decode(said.tokens[:-1] if said.ended else said.tokens) == said.completion
    ):
        return sequence(model, said, own)
    asked: Any = said.prompt if said.messages is None else [dict(one) for one in said.messages]
    answer: Any = said.completion if isinstance(said.completion, str) else [dict(m) for m in said.completion]
    asked = "" if asked is None else asked
    ids = [*own.prompt(asked), *own.completion(answer, asked)]
    return model.reading(ids, said.columns or {}, most)


def normalise(reward: CompletionReward, rows: Sequence[Judged]) -> None:
    """Mean 0 and variance 1 over the first texts."""
    some = [said for one in rows for said in one.things][:MOST_SCALED]
    reward.model.standardise(texts([reward.read(said) for said in some], reward.model.device))


def rules(train: Sequence[Judged], test: Sequence[Judged]) -> dict[str, Tensor]:
    """What needs no model, as margins of what was chosen: a reward that does not beat these has learned nothing.

    The longer answer wins; and where the rows name a `source`, the longer or the shorter one, whichever won more often
    among the training pairs of that source.
    """
    longer = np.array([longer_by(one) for one in test])
    found = {"longer wins": torch.from_numpy(longer)}
    compared = [one for one in train if one.decided]
    if all("source" in one.columns for one in [*compared, *test]):
        sums: dict[Any, float] = {}
        for one in compared:
            sums[one.columns["source"]] = sums.get(one.columns["source"], 0) + np.sign(longer_by(one))
        signs = np.array([np.sign(sums.get(one.columns["source"], 0)) for one in test])
        found["length, by source"] = torch.from_numpy(longer * signs)
    return found


def longer_by(one: Judged) -> float:
    """Characters that what was chosen has more than the other."""
    sizes = [len(a) if isinstance(a, str) else sum(len(m["content"]) for m in a) for a in one.options]
    return float(sizes[0] - sizes[1]) * float(np.sign(one.said[0] - 0.5))


def refuse_model(out: Path) -> None:
    """Raise PlauditError where a model is here already."""
    if (out / "config.json").exists():
        raise PlauditError(f"{out}: a model is here already; choose another --out")


def checked(rows: Sequence[Judged], reward: CompletionReward) -> None:
    """Raise PlauditError, with the place, for a row that cannot be read."""
    for one in rows:
        with placed(one.where):
            for said in one.things:
                reward.read(said)


UNMEASURED = (
    "nothing says what completions are worth, so the model is not compared with the one it started from; give "
    "gold_reward, reward.start or a function"
)


class RewardSources:
    """The parts of a run's reward, and whoever teaches one of them."""

    def __init__(self, config: RunConfig, folder: RunFolder, models: Models):
        self.config, self.models = config, models
        self.notes: set[str] = set()
        """What somebody should know about this reward."""
        self.session: FeedbackSession | None = None
        """Where people answer, if they are part of the run."""
        self.store: CompletionStore | None = None
        """What they are shown."""
        self.feedback: FeedbackLoop | None = None
        """What learns from them."""
        if config.feedback.labels or config.win_rate_check.every:
            opened = open_store(folder.feedback, seed_of(config.seed, "sides"))
            self.store = CompletionStore(Artifacts(folder.artifacts), models.gold)
            persons = simulated_people(config.feedback.people, config.seed)
            wishes, scores = Commands(opened), self.store.gold_rewards
            self.session = FeedbackSession(opened, self.store.artifacts, wishes, scores, persons)

    def mix(self) -> Weighted:
        """The weighted parts of the reward, each logged apart."""
        config, made = self.config, self.models
        compares = algorithms.kind_of(algorithms.find(config.algorithm)) == "preference"
        if compares and not paying(config.reward):
            if made.gold is None:
                self.notes.add(UNMEASURED)
            return Weighted({"gold_reward": Part(1.0, Fixed(answered_by(made.gold)))})
        source = None
        if config.feedback.labels and made.reward is not None:
            source = self._taught(made.reward)
        return weighted(config.reward, made.reward, made.generation, source)

    def _taught(self, model: TextReward) -> FeedbackLoop:
        """The learned part, with whoever teaches it."""
        config, made = self.config, self.models
        assert self.session is not None and self.store is not None
        store, spoken = self.store, made.generation.vocabulary
        medium = CompletionReward(model, lambda item: sequence(model, store.get(item), spoken))
        asking = Asking(
            made.policy,
            made.queue(config.seed, "questions"),
            made.generation,
            generator(config.seed, "compared answers"),
            config.feedback.question,
            config.feedback.options,
        )
        trainer = RewardTrainer(medium, config.reward, generator(config.seed, "feedback"))
        questions = CompletionQuestions(store, medium, asking)
        self.feedback = FeedbackLoop(self.session, config.feedback, trainer, questions)
        self.feedback.proven = config.reward.start is not None
        return self.feedback
