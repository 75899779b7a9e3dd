"""The prompts of a run: read or generated, in tokens, divided into those learned from and those held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from plaudit.environments.language import service
from plaudit.environments.language.config import SERVICE, Language
from plaudit.environments.language.prompts import Prompt
from plaudit.errors import PlauditError, placed
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.readers.texts import TextPrompt, read_text_prompts
from plaudit.seeds import seed_of
from plaudit.stages.reward import divided

SHORTER = "shorten it, lower environment.max_new_tokens, or set environment.too_long to `leave out` or `cut`"
"""What can be done about a prompt that does not fit."""


@dataclass(frozen=True)
class Prompts:
    """What a run asks."""

    train: list[Prompt]
    held_out: list[Prompt]
    left_out: int = 0
    """Prompts that were too long."""


def prompts(settings: Language, vocabulary: Vocabulary, context: int | None, seed: int) -> Prompts:
    """The prompts of a config; PlauditError for one that does not fit the model's context."""
    rows, held = _rows(settings, seed)
    room = room_for(settings.max_new_tokens, context, "environment.max_new_tokens")
    train = [fitted(row, vocabulary, room, settings.too_long) for row in rows]
    held_out = [fitted(row, vocabulary, room, settings.too_long) for row in held]
    found = Prompts(
        [p for p in train if p is not None],
        [p for p in held_out if p is not None],
        sum(p is None for p in [*train, *held_out]),
    )
    if not found.train or not found.held_out:
        raise PlauditError(
            f"environment.prompts: {settings.prompts} leaves {len(found.train)} prompts to learn from and "
            f"{len(found.held_out)} to evaluate on; give more prompts, or shorter ones"
        )
    return found


def held_out_for(
    settings: Language, readers: Sequence[tuple[Vocabulary, int | None]], count: int
) -> list[list[Prompt]]:
    """The first held-out prompts, for each reader (its tokenizer and context) in its own tokens.

    What is left out because it does not fit one of them is left out for all. PlauditError where nothing is left.
    """
    rooms = [
        room_for(settings.max_new_tokens, context, "environment.max_new_tokens") for _, context in readers
    ]
    known = [(vocabulary, room) for (vocabulary, _), room in zip(readers, rooms, strict=True)]
    _, rows = _rows(settings, 0)
    ready = ([fitted(row, *reader, settings.too_long) for reader in known] for row in rows)
    whole = ([p for p in row if p is not None] for row in ready)
    kept = list(islice((row for row in whole if len(row) == len(readers)), count))
    if not kept:
        raise PlauditError(
            f"environment.prompts: {settings.prompts} leaves nothing to evaluate on; give more prompts, or shorter ones"
        )
    return [list(side) for side in zip(*kept, strict=True)]


def room_for(max_new_tokens: int, context: int | None, field: str) -> int | None:
    """The tokens a prompt may have beside an answer; none: any number. PlauditError with the field where no prompt
    fits."""
    if context is not None and context <= max_new_tokens:
        raise PlauditError(
            f"{field}: {max_new_tokens} leave no room for a prompt in the model's context of {context} tokens; lower it"
        )
    return None if context is None else context - max_new_tokens


def fitted(
    row: TextPrompt, vocabulary: Vocabulary, room: int | None, too_long: str, advice: str = SHORTER
) -> Prompt | None:
    """A prompt in tokens; none where it is too long and to be left out."""
    messages = None if isinstance(row.prompt, str) else tuple(row.prompt)
    with placed(row.where):
        ids = vocabulary.prompt(row.prompt if messages is None else list(messages))
    cut = room is not None and len(ids) > room
    if cut:
        if too_long == "refuse":
            raise PlauditError(
                f"{row.where}: the prompt has {len(ids)} tokens, but {room} fit the context beside the answer; {advice}"
            )
        if too_long == "leave out":
            return None
        ids = without_beginning(ids, vocabulary, int(room or 0))
    text = str(row.prompt)
    if messages is not None:
        text = vocabulary.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    elif cut:
        text = vocabulary.decode(ids)
    return Prompt(tuple(ids), text, row.columns, messages)


def without_beginning(ids: Sequence[int], vocabulary: Vocabulary, room: int) -> list[int]:
    """The last tokens; a beginning token that the model expects stays."""
    begin = getattr(vocabulary.tokenizer, "bos_token_id", None)
    kept = [begin] if begin is not None and ids[0] == begin and room > 1 else []
    return [*kept, *ids[len(ids) - room + len(kept) :]]


def generated(count: int, seed: int, held_out: bool) -> list[TextPrompt]:
    """Prompts of service dialogues, with the facts a truthful answer states."""
    generator = np.random.default_rng(seed_of(seed, "service", held_out))
    found = {case.prompt: case for case in service.cases(count, generator, held_out)}
    return [
        TextPrompt(case.prompt, {"facts": case.facts}, f"service prompt {i}")
        for i, case in enumerate(found.values(), 1)
    ]


def _rows(settings: Language, seed: int) -> tuple[Sequence[TextPrompt], Sequence[TextPrompt]]:
    """Prompts to learn from and held-out ones: these are the same for every seed, so that runs can be compared."""
    if settings.prompts == SERVICE:
        return generated(settings.count, seed, False), generated(max(200, settings.count // 5), 0, True)
    place = Path(settings.prompts)
    if settings.evaluate_on is not None or settings.evaluate_split is not None:
        other = Path(settings.evaluate_on or settings.prompts)
        return read_text_prompts(place, settings.split), read_text_prompts(other, settings.evaluate_split)
    rows = read_text_prompts(place, settings.split)
    train, held_out = divided([row.prompt for row in rows], settings.held_out, seed_of(0, "held out"))
    return [rows[i] for i in train], [rows[i] for i in held_out]
