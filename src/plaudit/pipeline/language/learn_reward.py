"""The stage `reward` for text: learn a reward model from comparisons in a file, beside rules that need no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from plaudit.batches import Comparisons
from plaudit.batches.rows import take
from plaudit.declared import Count, at_least, between
from plaudit.errors import PlauditError, placed
from plaudit.likelihoods import bradley_terry
from plaudit.models.language import loading, reward_model
from plaudit.models.language.reward_model import TextPairs, TextReward, pair_scores, texts
from plaudit.pipeline.language.dividing import divided
from plaudit.pipeline.language.evaluate import wins
from plaudit.pipeline.language.teaching import fit_pairs
from plaudit.readers.texts import Text, TextPair, read_text_pairs
from plaudit.runs.settings import validate
from plaudit.runs.threads import threads
from plaudit.seeds import seed_of
from plaudit.trainers import reward_fit
from plaudit.trainers.descent import Adam


@dataclass(frozen=True)
class LearnRewardConfig:
    """How a reward model for text is learned from a file of comparisons."""

    start: str
    """A folder (or hub id) with the language model, or reward model, to start from."""
    split: str | None = None
    """Learn from the rows of this split alone."""
    test: str | None = None
    """A file with comparisons to test on; none: rows of the same file."""
    test_split: str | None = None
    """Test on the rows of this split."""
    held_out: Annotated[float, between(0.01, 0.9)] = 0.2
    """Where neither is given: the share of the comparisons kept for the test."""
    epochs: Annotated[float, at_least(0.01)] = 2.0
    """Passes over the comparisons."""
    length: Annotated[int, at_least(4)] | None = None
    """Tokens of a text that are read, from its end; none: as many as the model takes."""
    judged_by: tuple[str, ...] = ()
    """Columns that say by what a row was judged, such as a criterion or a source: the model reads them first."""
    likelihood: bradley_terry.Config = bradley_terry.Config()
    """How answers depend on the reward."""
    fit: reward_fit.Config = reward_fit.Config(
        learning_rate=3e-4, weight_decay=0.01, minibatch=16, schedule="linear", max_grad_norm=1.0
    )
    """How the reward model is fitted; the number of steps follows from `epochs`."""
    rows: Count = 64
    """Texts read at once; less needs less memory."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    threads: Count = 1
    """Threads of torch."""
    seed: int = 0
    """Seed of everything."""


@dataclass(frozen=True)
class Accuracy:
    """The share of decided test pairs that were put in the order people gave, with a 95 % interval over pairs."""

    mean: float
    low: float
    high: float


MEMORY = "rows, fit.minibatch, fit.piece or length"
"""What to lower where memory runs out."""


UNUSED = {
    "fit.first_steps": "there is one fit, whose steps follow from epochs",
    "fit.steps": "there is one fit, whose steps follow from epochs",
    "fit.drawn": "a text has one score, so nothing is drawn of it",
}
"""Fields of a fit that mean nothing here, and why."""


def read(files: Sequence[Path], config: LearnRewardConfig) -> tuple[list[TextPair], list[TextPair]]:
    """The comparisons to learn from and those to test on. Where nothing says which are which, a share of the prompts is
    held out with all their pairs."""
    validate(config)
    _refuse_unused(config)
    _refuse_known(files, config)
    pairs = [pair for file in files for pair in read_text_pairs(file, config.split)]
    if config.test is not None or config.test_split is not None:
        others = [Path(config.test)] if config.test is not None else files
        return pairs, [pair for file in others for pair in read_text_pairs(file, config.test_split)]
    train, test = divided([pair.prompt for pair in pairs], config.held_out, seed_of(config.seed, "held out"))
    return [pairs[i] for i in train], [pairs[i] for i in test]


def _refuse_unused(config: LearnRewardConfig) -> None:
    """Raise PlauditError where something is set that would have no effect."""
    plain = reward_fit.Config()
    for field, why in UNUSED.items():
        name = field.removeprefix("fit.")
        if getattr(config.fit, name) != getattr(plain, name):
            raise PlauditError(f"{field}: has no effect, {why}; leave this out")


def _refuse_known(files: Sequence[Path], config: LearnRewardConfig) -> None:
    """Raise PlauditError where rows would be learned from and tested on."""
    if config.test is None and config.test_split is None:
        return
    same = config.test is None or Path(config.test).resolve() in {file.resolve() for file in files}
    if not same or (config.split != config.test_split and None not in (config.split, config.test_split)):
        return
    if config.test_split is not None:
        raise PlauditError(
            f"split: the rows of {config.test_split!r} would be learned from and tested on; name another split to "
            "learn from"
        )
    raise PlauditError(
        f"test: the comparisons of {config.test} are learned from as well; give another file, name a test_split, or "
        "leave it out to hold some back"
    )


def learn(
    train: Sequence[TextPair], test: Sequence[TextPair], config: LearnRewardConfig, out: Path
) -> dict[str, Accuracy]:
    """Fit a reward model, save it in `out` and say how it and simple rules do on the test pairs.

    The rules: the longer answer wins, and where the rows name a `source`, the longer or the shorter one, whichever
    won more often among the training pairs of that source. The scores of the texts learned from have mean 0 and
    variance 1.
    """
    if (out / "config.json").exists():
        raise PlauditError(f"{out}: a model is here already; choose another --out")
    validate(config)
    _refuse_unused(config)
    decided = [pair for pair in test if pair.preference != 0.5]
    if len(train) < 2 or len(decided) < 2:
        raise PlauditError(
            f"{len(train)} comparisons to learn from and {len(decided)} decided ones to test on are too few; give at "
            "least 2 of each"
        )
    with threads(config.threads), loading.memory_explained(MEMORY):
        model, margins = _fitted(train, decided, config)
        reward_model.save(out, model)
    return {"reward model": hits(margins)} | rules(train, decided)


def _fitted(
    train: Sequence[TextPair], test: Sequence[TextPair], config: LearnRewardConfig
) -> tuple[TextReward, torch.Tensor]:
    """The model, and by how much it puts the chosen answers of the test above the others [P]."""
    generator = torch.Generator().manual_seed(seed_of(config.seed, "reward"))
    model = reward_model.begin(config.start, generator).to(loading.device(config.device))
    model.rows = config.rows
    if config.judged_by:
        model.model.config.reward_judged_by = list(config.judged_by)
    most = loading.context_of(model.model)
    if config.length is not None and most is not None and config.length > most:
        raise PlauditError(f"length: {config.length} tokens are more than the model's {most}; lower it")
    length = config.length or most or 1024
    pairs, held = as_pairs(model, train, length), as_pairs(model, test, length)
    steps = max(1, round(config.epochs * len(train) / config.fit.minibatch))
    optimiser = Adam(model.parameters(), weight_decay=config.fit.weight_decay)
    fit_pairs(model, optimiser, pairs, (config.likelihood, (config.fit, steps)), generator)
    scores = scored(model, held)
    if not torch.isfinite(scores).all():
        raise PlauditError("the fit has diverged: scores are no longer finite; lower fit.learning_rate")
    some = [
        reading(model, pair, said, length) for pair in train[:256] for said in (pair.chosen, pair.rejected)
    ]
    model.standardise(texts(some, model.device))
    return model, scores[:, 0] - scores[:, 1]


def as_pairs(model: TextReward, pairs: Sequence[TextPair], length: int) -> TextPairs:
    """Pairs of whole texts in the model's tokens; what is too long loses its beginning."""
    sides = []
    for name in ("chosen", "rejected"):
        encoded = [reading(model, pair, getattr(pair, name), length) for pair in pairs]
        sides.append(texts(encoded, model.device))
    preference = torch.tensor([pair.preference for pair in pairs], device=model.device)
    return TextPairs(sides[0], sides[1], Comparisons(preference))


def encode(model: TextReward, prompt: Text | None, answer: Text) -> list[int]:
    """A prompt and an answer in the model's tokens, plain or through the chat template."""
    asked = prompt if isinstance(prompt, str) else list(prompt or ())
    said = answer if isinstance(answer, str) else list(answer)
    return [*model.vocabulary.prompt(asked), *model.vocabulary.completion(said, asked)]


def reading(model: TextReward, pair: TextPair, answer: Text, length: int) -> list[int]:
    """What the model reads of an answer to the pair's prompt."""
    with placed(pair.where):
        return model.reading(encode(model, pair.prompt, answer), pair.columns, length)


@torch.no_grad()
def scored(model: TextReward, pairs: TextPairs, rows: int = 256) -> torch.Tensor:
    """Scores [P, 2] of all pairs, some at a time."""
    count = len(pairs.judgements.preference)
    return torch.cat(
        [pair_scores(model, take(pairs, slice(i, i + rows))) for i in range(0, count, rows)]
    ).cpu()


def rules(train: Sequence[TextPair], test: Sequence[TextPair]) -> dict[str, Accuracy]:
    """What needs no model: a reward that does not beat these has learned nothing about the answers."""
    longer = np.array([longer_by(pair) for pair in test])
    found = {"longer wins": hits(torch.from_numpy(longer))}
    if all("source" in pair.columns for pair in [*train, *test]):
        sums: dict[Any, float] = {}
        for pair in train:
            sums[pair.columns["source"]] = sums.get(pair.columns["source"], 0) + np.sign(longer_by(pair))
        signs = np.array([np.sign(sums.get(pair.columns["source"], 0)) for pair in test])
        found["length, by source"] = hits(torch.from_numpy(longer * signs))
    return found


def longer_by(pair: TextPair) -> float:
    """Characters that the chosen answer has more than the other."""
    sizes = [
        len(a) if isinstance(a, str) else sum(len(m["content"]) for m in a)
        for a in (pair.chosen, pair.rejected)
    ]
    return float(sizes[0] - sizes[1])


def hits(margins: torch.Tensor) -> Accuracy:
    """The share of margins above 0; a margin of 0 counts half."""
    found = wins(margins, torch.zeros_like(margins))
    return Accuracy(found.rate, found.low, found.high)
