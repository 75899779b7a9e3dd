"""Pairs of texts from a file, in a policy's own tokens."""

from collections.abc import Sequence
from pathlib import Path

import torch

from plaudit.batches import Pairs
from plaudit.errors import PlauditError, placed
from plaudit.models.language import tokens
from plaudit.models.language.loading import context_of
from plaudit.models.language.policy import LanguagePolicy
from plaudit.models.language.tokens import Tokens
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.readers.texts import Text, TextPair, read_text_pairs
from plaudit.runs.config import RunConfig
from plaudit.seeds import seed_of
from plaudit.stages.split import divided

HELD_OUT = 0.1
"""Share of the prompts whose pairs are never learned from."""


def pairs(config: RunConfig, vocabulary: Vocabulary, policy: LanguagePolicy) -> tuple[Pairs, Pairs]:
    """The pairs of a file to learn from, and those of held-out prompts. PlauditError for one that does not fit."""
    rows = read_text_pairs(Path(str(config.pairs)), None)
    train, held_out = divided([row.prompt for row in rows], HELD_OUT, seed_of(0, "held out"))
    if not train or not held_out:
        raise PlauditError(f"{config.pairs}: {len(rows)} pairs are too few; give pairs of two prompts or more")
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
    record = Tokens(*(tensor.unflatten(0, (len(rows), 2)) for tensor in (flat.ids, flat.lengths, flat.decisions)))
    preference = torch.tensor([row.preference for row in rows], device=device)
    return Pairs(record.decisions > 0, preference, record)


def _tokens(row: TextPair, answer: Text, vocabulary: Vocabulary) -> tuple[list[int], list[int]]:
    asked = row.prompt if isinstance(row.prompt, str) else list(row.prompt or ())
    said = answer if isinstance(answer, str) else list(answer)
    with placed(row.where):
        return list(vocabulary.prompt(asked)), list(vocabulary.completion(said, asked))
