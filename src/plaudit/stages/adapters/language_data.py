"""Recorded behaviour of language models from files: texts, demonstrations and pairs, in a policy's own tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plaudit.batches import Demonstrations, Pairs
from plaudit.batches.rows import moved
from plaudit.environments.language import service
from plaudit.environments.language.config import SERVICE, Language
from plaudit.errors import PlauditError, placed
from plaudit.models.language import adapters, loading, tokens, vocabulary
from plaudit.models.language.loading import context_of
from plaudit.models.language.policy import LanguagePolicy
from plaudit.models.language.tokens import Tokens
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.readers.texts import (
    RAW_ENDINGS,
    Text,
    TextDemonstration,
    TextPair,
    read_raw,
    read_text_demonstrations,
    read_text_pairs,
)
from plaudit.runs.config import RunConfig
from plaudit.runs.streams import generator
from plaudit.seeds import seed_of
from plaudit.stages.adapters.prompts import without_beginning
from plaudit.stages.pretrain_config import PretrainText
from plaudit.stages.reward import divided


def pairs(config: RunConfig, vocabulary: Vocabulary, policy: LanguagePolicy) -> tuple[Pairs, Pairs]:
    """The pairs of a file to learn from, and those of held-out prompts. PlauditError for one that does not fit."""
    asked = config.environment
    assert isinstance(asked, Language)
    rows = read_text_pairs(Path(str(config.pairs)), None)
    train, held_out = divided([row.prompt for row in rows], asked.held_out, seed_of(0, "held out"))
    if not train or not held_out:
        raise PlauditError(
            f"{config.pairs}: {len(rows)} pairs are too few; give pairs of two prompts or more"
        )
    most = context_of(policy.lm)
    return (
        encoded([rows[i] for i in train], vocabulary, most, policy.device),
        encoded([rows[i] for i in held_out], vocabulary, most, policy.device),
    )


def encoded(
    rows: Sequence[TextPair], vocabulary: Vocabulary, most: int | None, device: torch.device
) -> Pairs:
    """Both completions of every pair; decisions are the completion's tokens."""
    sequences, decisions = [], []
    for row in rows:
        for answer in (row.chosen, row.rejected):
            prompt, said = _tokens(row, answer, vocabulary)
            if most is not None and len(prompt) + len(said) > most:
                raise PlauditError(
                    f"{row.where}: prompt and completion have {len(prompt) + len(said)} tokens, but the model reads "
                    f"{most}; shorten or drop the row"
                )
            sequences.append([*prompt, *said])
            decisions.append(list(range(len(prompt), len(prompt) + len(said))))
    flat = tokens.record(sequences, decisions, device)
    record = Tokens(
        *(tensor.unflatten(0, (len(rows), 2)) for tensor in (flat.ids, flat.lengths, flat.decisions))
    )
    preference = torch.tensor([row.preference for row in rows], device=device)
    return Pairs(record.decisions > 0, preference, record)


def _tokens(row: TextPair, answer: Text, vocabulary: Vocabulary) -> tuple[list[int], list[int]]:
    asked = row.prompt if isinstance(row.prompt, str) else list(row.prompt or ())
    said = answer if isinstance(answer, str) else list(answer)
    with placed(row.where):
        return list(vocabulary.prompt(asked)), list(vocabulary.completion(said, asked))


PIECE = 256
"""Tokens of each piece of a text, unless `context` says: short enough to learn quickly from."""
MEMORY = "trainer.microbatch_size, trainer.minibatch_size, policy.rows or context; or set policy.gradient_checkpointing"
"""What to lower where memory runs out."""


@dataclass(frozen=True)
class Encoded:
    """What is learned, in tokens."""

    train: Demonstrations
    held_out: Demonstrations
    characters: float
    """Characters per held-out token: to compare with models of other tokens."""
    left_out: int = 0
    """Demonstrations that were too long."""


class TextData:
    """What a language model learns before any feedback."""

    def __init__(self, config: PretrainText, place: str):
        if config.start is not None and config.tokenizer is not None:
            raise PlauditError(
                "tokenizer: the model to go on with brings its own; leave this out, or leave out start"
            )
        raw = place.endswith(RAW_ENDINGS)
        if config.split is not None and (place == SERVICE or raw):
            raise PlauditError(f"split: {place} has no rows with a column `split`; leave this out")
        self.shuffles = generator(config.seed, "pretrain")
        rows = [] if raw else demonstrations(place, config)
        text = read_raw(Path(place)) if raw else ""
        lm, self.vocabulary = _model(config, [text] if raw else [_flat(row) for row in rows], self.shuffles)
        self.size = sum(p.numel() for p in lm.parameters())
        device = loading.device(config.device)
        self.policy = LanguagePolicy(lm.to(device), replace(config.policy, critic="none"), self.shuffles)
        context = _context(config, loading.context_of(lm))
        if raw:
            piece = context if config.context is not None else min(context, PIECE)
            self.encoded = _of_text(text, self.vocabulary, piece, config)
        else:
            self.encoded = _of_rows(rows, self.vocabulary, context, config)
        self.train, self.held_out = moved(self.encoded.train, device), moved(self.encoded.held_out, device)

    def save(self, out: Path, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Write the model; returns what else is known of it."""
        loading.save(out, adapters.merged(self.policy.lm, self.policy.adapted), self.vocabulary)
        return {
            "val/nll_per_character": reports[-1]["val/nll_avg"] / self.encoded.characters,
            "parameters": self.size,
            "left_out": self.encoded.left_out,
        }


def demonstrations(place: str, config: PretrainText) -> list[TextDemonstration]:
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


def _model(config: PretrainText, texts: Sequence[str], draws: torch.Generator) -> tuple[Any, Vocabulary]:
    if config.start is not None:
        return loading.load(config.start)
    if config.tokenizer is not None:
        made = vocabulary.read_gpt2(Path(config.tokenizer))
    else:
        made = vocabulary.train_bpe(texts, config.new.vocabulary)
    spoken = Vocabulary(made, "the new model")
    return loading.make(config.new, spoken, draws), spoken


def _flat(row: TextDemonstration) -> str:
    """About what the model will read, messages as the template of new tokenizers shows them."""
    parts = [row.prompt or "", row.completion]
    return "".join(
        part if isinstance(part, str) else "".join(f"<|{m['role']}|>{m['content']}\n" for m in part)
        for part in parts
    )


def _context(config: PretrainText, most: int | None) -> int:
    if config.context is not None and most is not None and config.context > most:
        raise PlauditError(f"context: {config.context} tokens are more than the model's {most}; lower it")
    return config.context or most or 1024


def _of_text(text: str, spoken: Vocabulary, context: int, config: PretrainText) -> Encoded:
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
    return Encoded(sides[0], sides[1], len(spoken.decode(ids[1:])) / len(ids[1:]))


def _of_rows(
    rows: Sequence[TextDemonstration], spoken: Vocabulary, context: int, config: PretrainText
) -> Encoded:
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
                larger = "raise new.context" if config.start is None else "use a model with a larger context"
                raise PlauditError(
                    f"{row.where}: prompt and answer have {len(prompt) + len(completion)} tokens, but the model takes "
                    f"{context}; shorten the row, {larger}, or set too_long"
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
    return Encoded(side(rest), side(held), sum(characters[i] for i in held) / count, left_out)


def _plain(text: Text) -> Any:
    return text if isinstance(text, str) else list(text)
