"""The stage `pretrain` for language: plain language modelling on texts, or imitation of demonstrated answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch

from plaudit.algorithms.imitation import bc
from plaudit.batches import Demonstrations
from plaudit.declared import Count, at_least, between
from plaudit.environments.language import service
from plaudit.errors import PlauditError, placed
from plaudit.models.language import adapters, loading, tokens, vocabulary
from plaudit.models.language.loading import NewModel
from plaudit.models.language.policy import LanguagePolicy, PolicyConfig
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.pipeline.language.asking import without_beginning
from plaudit.pipeline.language.config import SERVICE
from plaudit.pipeline.language.dividing import divided
from plaudit.readers.texts import RAW_ENDINGS, TextDemonstration, read_raw, read_text_demonstrations
from plaudit.runs.settings import validate
from plaudit.runs.threads import threads
from plaudit.seeds import seed_of
from plaudit.trainers import supervised

MEMORY = "trainer.piece, trainer.minibatch, policy.rows or context; or set policy.gradient_checkpointing"
"""What to lower where memory runs out."""


@dataclass(frozen=True)
class PretrainConfig:
    """How a language model is trained on texts."""

    start: str | None = None
    """A folder (or hub id) with the model to go on with; none: a new small one."""
    new: NewModel = NewModel()
    """The new model, where none is given."""
    tokenizer: str | None = None
    """A folder with vocab.json and merges.txt, such as GPT-2's, for a new model; none: trained on the texts."""
    learn: Literal["answers", "everything"] = "answers"
    """Of a demonstration the answer alone, its end included, or the prompt as well. Texts are learned whole."""
    split: str | None = None
    """Use the rows of this split alone."""
    count: Annotated[int, at_least(10)] = 3000
    """How many service dialogues to generate, where these are asked for."""
    style: Literal["clerks", "plain", "both"] = "clerks"
    """The service dialogues of clerks as they are, plain right answers, or half of each."""
    context: Annotated[int, at_least(8)] | None = None
    """Tokens of each piece of a text; none: as many as the model takes."""
    too_long: Literal["refuse", "leave out", "cut"] = "refuse"
    """A demonstration longer than that: an error, left out, or its prompt cut at the beginning; of an answer that alone
    is longer, and of a text, the end is learned."""
    held_out: Annotated[float, between(0.001, 0.9)] = 0.05
    """Share kept for the held-out loss: of a text its end, of demonstrations any of the different prompts with all
    their answers."""
    trainer: supervised.Config = supervised.Config(
        learning_rate=3e-3,
        weight_decay=0.01,
        epochs=3,
        minibatch=16,
        max_grad_norm=1.0,
        schedule="linear",
        tell_every=50,
    )
    """How the loss is descended."""
    policy: PolicyConfig = PolicyConfig(critic="none")
    """Adapters and precision; there is no critic here."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    threads: Count = 1
    """Threads of torch."""
    seed: int = 0
    """Seed of everything."""


@dataclass(frozen=True)
class Lessons:
    """What is learned, in tokens."""

    train: Demonstrations
    held_out: Demonstrations
    characters: float
    """Characters per held-out token: to compare with models of other tokens."""
    left_out: int = 0
    """Demonstrations that were too long."""


def pretrain(config: PretrainConfig, place: str, out: Path, watch: Any) -> dict[str, Any]:
    """Train on a file, or on generated service dialogues, and write the model to `out`; returns the held-out loss.

    `val/nll_avg` is in nats per token, `val/nll_per_character` in nats per character; `left_out` is how many
    demonstrations were too long.
    """
    if (out / "config.json").exists():
        raise PlauditError(f"{out}: a model is here already; choose another --out")
    validate(config)
    if config.start is not None and config.tokenizer is not None:
        raise PlauditError(
            "tokenizer: the model to go on with brings its own; leave this out, or leave out start"
        )
    if config.split is not None and (place == SERVICE or place.endswith(RAW_ENDINGS)):
        raise PlauditError(f"split: {place} has no rows with a column `split`; leave this out")
    with threads(config.threads), loading.memory_explained(MEMORY):
        return _pretrain(config, place, out, watch)


def _pretrain(config: PretrainConfig, place: str, out: Path, watch: Any) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed_of(config.seed, "pretrain"))
    raw = place.endswith(RAW_ENDINGS)
    rows = [] if raw else demonstrations(place, config)
    text = read_raw(Path(place)) if raw else ""
    lm, spoken = _model(config, [text] if raw else [_flat(row) for row in rows], generator)
    size = sum(p.numel() for p in lm.parameters())
    device = loading.device(config.device)
    policy = LanguagePolicy(lm.to(device), replace(config.policy, critic="none"), generator)
    context = _context(config, lm)
    lessons = _of_text(text, spoken, context, config) if raw else _of_rows(rows, spoken, context, config)
    train, held_out = _moved(lessons.train, device), _moved(lessons.held_out, device)
    metrics: dict[str, Any] = {}
    for metrics in supervised.train(
        policy, train, held_out, supervised.Task(bc, bc.Config(), config.trainer), generator
    ):
        if not isfinite(metrics["val/nll_avg"]):
            raise PlauditError(
                "learning has diverged: the held-out loss is no longer finite; lower trainer.learning_rate, or set "
                "trainer.max_grad_norm"
            )
        watch(metrics)
    loading.save(out, adapters.merged(policy.lm, policy.adapted), spoken)
    per_character = metrics["val/nll_avg"] / lessons.characters
    said = {"parameters": size, "left_out": lessons.left_out}
    return metrics | {"val/nll_per_character": per_character} | said


def demonstrations(place: str, config: PretrainConfig) -> list[TextDemonstration]:
    """The demonstrations of a file, or generated service dialogues."""
    if place != SERVICE:
        return read_text_demonstrations(Path(place), config.split)
    draws = np.random.default_rng(seed_of(config.seed, "demonstrations", config.style))
    plain = {"clerks": 0, "plain": config.count, "both": config.count // 2}[config.style]
    cases = service.cases(plain, draws, style=service.PLAIN) + service.cases(config.count - plain, draws)
    return [
        TextDemonstration(case.prompt, case.completion, {}, f"service dialogue {i}")
        for i, case in enumerate(cases, 1)
    ]


def _model(
    config: PretrainConfig, texts: Sequence[str], generator: torch.Generator
) -> tuple[Any, Vocabulary]:
    if config.start is not None:
        return loading.load(config.start)
    if config.tokenizer is not None:
        made = vocabulary.read_gpt2(Path(config.tokenizer))
    else:
        made = vocabulary.train_bpe(texts, config.new.vocabulary)
    spoken = Vocabulary(made, "the new model")
    return loading.make(config.new, spoken, generator), spoken


def _flat(row: TextDemonstration) -> str:
    """About what the model will read, messages as the template of new tokenizers shows them."""
    parts = [row.prompt or "", row.completion]
    return "".join(
        part if isinstance(part, str) else "".join(f"<|{m['role']}|>{m['content']}\n" for m in part)
        for part in parts
    )


def _context(config: PretrainConfig, lm: Any) -> int:
    most = loading.context_of(lm)
    if config.context is not None and most is not None and config.context > most:
        raise PlauditError(f"context: {config.context} tokens are more than the model's {most}; lower it")
    return config.context or most or 1024


def _of_text(text: str, spoken: Vocabulary, context: int, config: PretrainConfig) -> Lessons:
    """Pieces of a text, each beginning with the last token of the one before, so that every token is learned once."""
    cut = round(len(text) * (1 - config.held_out))
    sides, ids = [], []
    for part in (text[:cut], text[cut:]):
        ids = spoken.encode(part)
        pieces = [ids[i : i + context] for i in range(0, len(ids) - 1, context - 1)]
        if not pieces:
            raise PlauditError("the text is too short to learn from and hold a part out; give more text")
        record = tokens.whole(pieces)
        sides.append(Demonstrations(record.mask, record))
    return Lessons(sides[0], sides[1], len(spoken.decode(ids[1:])) / len(ids[1:]))


def _of_rows(
    rows: Sequence[TextDemonstration], spoken: Vocabulary, context: int, config: PretrainConfig
) -> Lessons:
    """Demonstrations in tokens; those of one prompt (without prompts: of one text) are all learned or all held out."""
    sequences, decisions, characters, keys = [], [], [], []
    for row in rows:
        with placed(row.where):
            prompt = [] if row.prompt is None else spoken.prompt(_plain(row.prompt))
            completion = spoken.completion(
                _plain(row.completion), "" if row.prompt is None else _plain(row.prompt)
            )
        if len(prompt) + len(completion) > context:
            if config.too_long == "leave out":
                continue
            if config.too_long == "refuse":
                raise PlauditError(
                    f"{row.where}: prompt and answer have {len(prompt) + len(completion)} tokens, but the model takes "
                    f"{context}; shorten the row, use a model with a larger context, or set too_long"
                )
            room = context - len(completion)
            prompt = without_beginning(prompt, spoken, room) if room > 0 and prompt else []
            completion = completion[-context:]
        sequences.append([*prompt, *completion])
        first = max(1, len(prompt)) if config.learn == "answers" else 1
        decisions.append(range(first, len(sequences[-1])))
        characters.append(len(spoken.decode(sequences[-1][first:])))
        keys.append(row.completion if row.prompt is None else row.prompt)
    rest, held = divided(keys, config.held_out, seed_of(config.seed, "held out"))
    if not rest:
        raise PlauditError(
            f"{len(sequences)} demonstrations are too few to learn from and hold some out, as those of one prompt stay "
            "together; give more, of other prompts"
        )

    def side(places: list[int]) -> Demonstrations:
        record = tokens.record([sequences[i] for i in places], [decisions[i] for i in places])
        return Demonstrations(record.mask, record)

    count = sum(len(decisions[i]) for i in held)
    left_out = len(rows) - len(sequences)
    return Lessons(side(rest), side(held), sum(characters[i] for i in held) / count, left_out)


def _plain(text: Any) -> Any:
    return text if isinstance(text, str) else list(text)


def _moved(data: Demonstrations, device: torch.device) -> Demonstrations:
    record = data.record
    moved = tokens.Tokens(record.ids.to(device), record.lengths.to(device), record.decisions.to(device))
    return Demonstrations(moved.mask, moved)
