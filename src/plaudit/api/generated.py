"""What transformers hands around, as what plaudit works with: padded prompts, generated ids, rewards of many forms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plaudit.batches import Rewards
from plaudit.environments.language.prompts import Answers
from plaudit.environments.language.rollouts import Completions
from plaudit.errors import PlauditError
from plaudit.models.language import tokens
from plaudit.models.language.interfaces import PreTrainedModel, PreTrainedTokenizerBase
from plaudit.models.language.logprobs import Shaping

Ids = Tensor | np.ndarray | Sequence[Tensor | np.ndarray | Sequence[int]]
"""Rows of tokens: [B, L], or one list for each."""
Numbers = Tensor | np.ndarray | Sequence[np.typing.ArrayLike]
"""One number for each answer, or one for each of its tokens."""

LARGEST = 2**63
"""More tokens than any model has."""
IGNORED = ("pad_token_id", "token_type_ids", "return_dict_in_generate", "use_cache")
"""Arguments of transformers' `generate` that change nothing here."""
SAMPLED = {"do_sample": (True, None), "top_k": (0, None), "num_beams": (1, None), "repetition_penalty": (1.0, None),
           "min_length": (-1, 0, None), "num_return_sequences": (1, None)}  # fmt: skip
"""Others, with the values that mean drawing from the policy as it is, which alone can be learned from."""


@dataclass(frozen=True)
class Special:
    """The tokens that end an answer, and the one that fills up."""

    stops: frozenset[int]
    pad: int
    said: bool = True
    """The pad token is the tokenizer's or the model's; otherwise one that answers may hold as well."""
    entries: int = field(default=LARGEST, compare=False)
    """How many tokens the model knows."""

    @property
    def fills(self) -> bool:
        """Where the pad token stands at an end of a row, nothing is there."""
        return self.said and self.pad not in self.stops


@dataclass(frozen=True)
class Prompts:
    """Prompts as they were given, and their real tokens."""

    given: list[list[int]]
    """All columns, padding included."""
    tokens: list[list[int]]


def special_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None) -> Special:
    """The end tokens of the model and its tokenizer; what fills up is the pad token, or else an end token, or 0."""
    if not (hasattr(model, "config") and hasattr(model, "get_input_embeddings")):
        raise PlauditError(
            f"model: a {type(model).__name__} is no language model; load one with AutoModelForCausalLM.from_pretrained"
        )
    found: set[int] = set()
    for said in (getattr(model, "generation_config", None), model.config.get_text_config(), tokenizer):
        found |= _ends(getattr(said, "eos_token_id", None))
    first: Any = model.get_input_embeddings()
    entries = first.weight.shape[0]
    beyond = sorted(end for end in found if end >= entries)
    if beyond:
        raise PlauditError(
            f"tokenizer: its end token {beyond[0]} is not among the model's {entries} tokens; give the model's own"
        )
    pads = (getattr(said, "pad_token_id", None) for said in (tokenizer, model.config.get_text_config()))
    known = next((int(pad) for pad in pads if pad is not None), None)
    pad = min(found, default=0) if known is None else known
    return Special(frozenset(found), pad, known is not None, entries)


def refuse_others(others: Mapping[str, Any], shaping: Shaping, special: Special) -> None:
    """Raise PlauditError for arguments of `generate` that would sample from another policy than is trained."""
    for name, value in others.items():
        if name in ("temperature", "top_p"):
            if value not in (None, getattr(shaping, name)):
                raise PlauditError(
                    f"generate: {name} belongs into PPOConfig, so that sampling and learning see the same policy"
                )
        elif name in SAMPLED:
            if value not in SAMPLED[name]:
                raise PlauditError(
                    f"generate: {name}={value!r} draws from another policy than is trained; leave it out"
                )
        elif name == "eos_token_id":
            if not _ends(value) <= special.stops:
                raise PlauditError(
                    f"generate: eos_token_id={value!r} is no end token of the model or its tokenizer; set it in "
                    "model.generation_config"
                )
        elif name not in IGNORED:
            raise PlauditError(
                f"generate: unknown argument {name!r}; known: input_ids, attention_mask, max_new_tokens"
            )


def _ends(said: int | Iterable[int] | None) -> set[int]:
    """End tokens, which are named one by one or together."""
    return set() if said is None else {said} if isinstance(said, int) else set(said)


def prompts_of(inputs: Any, special: Special) -> Prompts:
    """Prompts from a tokenizer's output, or from ids alone."""
    if isinstance(inputs, Mapping) or hasattr(inputs, "input_ids"):
        try:
            return prompts(inputs["input_ids"], inputs.get("attention_mask"), special)
        except KeyError:
            raise PlauditError("inputs: `input_ids` is missing; give what the tokenizer returned") from None
    return prompts(inputs, None, special)


def prompts(ids: Ids, mask: Ids | None, special: Special) -> Prompts:
    """Prompts from ids [B, P] (or one list of ids each) and which of them are real.

    Without a mask a pad token at either end is padding, unless it is an end token as well, as in transformers.
    """
    rows = _ids(ids, "input_ids", special)
    if mask is None:
        real = [_unpadded(row, special) for row in rows]
    else:
        masks = _rows(mask, "attention_mask")
        if [len(row) for row in masks] != [len(row) for row in rows]:
            raise PlauditError(
                "attention_mask: it has another shape than input_ids; give the tokenizer's output whole"
            )
        real = [[i for i, m in zip(row, own, strict=True) if m] for row, own in zip(rows, masks, strict=True)]
    for number, row in enumerate(real, 1):
        if not row:
            raise PlauditError(
                f"prompt {number} is empty: a model goes on from at least one token; give it some text"
            )
    return Prompts(rows, real)


def joined(prompts: Prompts, answers: Sequence[Sequence[int]], special: Special) -> Tensor:
    """The given columns, then the answers, then padding; prompts of different lengths are filled up at the left."""
    width = max(map(len, prompts.given))
    longest = max(map(len, answers))
    rows = [
        [special.pad] * (width - len(before))
        + list(before)
        + list(after)
        + [special.pad] * (longest - len(after))
        for before, after in zip(prompts.given, answers, strict=True)
    ]
    return torch.tensor(rows)


def completions(
    asked: Prompts,
    outputs: object,
    special: Special,
    device: torch.device | str,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Completions:
    """What was said, from outputs that begin with their prompts. Several answers to a prompt stand together."""
    rows = _ids(getattr(outputs, "sequences", outputs), "outputs", special)
    each, rest = divmod(len(rows), len(asked.given))
    if rest or not each:
        raise PlauditError(
            f"outputs: {len(rows)} rows for {len(asked.given)} prompts; give what generate returned for these inputs"
        )
    places = [i // each for i in range(len(rows))]
    said = [
        _answer(row, asked, place, number, special)
        for number, (row, place) in enumerate(zip(rows, places, strict=True), 1)
    ]
    ended = torch.tensor([answer[-1] in special.stops for answer in said])
    real = [asked.tokens[place] for place in places]
    numbers = {prompt: i for i, prompt in enumerate(dict.fromkeys(map(tuple, real)))}
    group = torch.tensor([numbers[tuple(prompt)] for prompt in real])
    answers = Answers(_texts(real, tokenizer), _texts(said, tokenizer), tuple(map(tuple, said)))
    return Completions(tokens.answers(real, said, device), answers, ended, group)


def paid(rewards: Numbers, said: Sequence[Sequence[int]]) -> Rewards:
    """One number per answer, or one per token of each answer. PlauditError where there is not."""
    if isinstance(rewards, Tensor) and rewards.dim() == 2 and rewards.shape[1] == 1:
        rewards = rewards[:, 0]
    try:
        given = [torch.as_tensor(reward, dtype=torch.float32).detach().cpu() for reward in rewards]
    except (TypeError, ValueError, RuntimeError):
        raise PlauditError("rewards: not numbers; give one number per answer") from None
    if len(given) != len(said):
        raise PlauditError(f"rewards: {len(given)} for {len(said)} answers; give one per answer")
    for number, reward in enumerate(given, 1):
        if not torch.isfinite(reward).all():
            raise PlauditError(f"rewards: that of answer {number} is not finite; give finite numbers")
    if all(reward.dim() == 0 for reward in given):
        return Rewards(torch.stack(given))
    for number, (reward, answer) in enumerate(zip(given, said, strict=True), 1):
        if reward.dim() != 1 or len(reward) < len(answer):
            raise PlauditError(
                f"rewards: those of answer {number} have shape {list(reward.shape)}, but it has {len(answer)} tokens; "
                "give one per token, or one number"
            )
    dense = torch.zeros(len(said), max(map(len, said)))
    for row, (reward, answer) in enumerate(zip(given, said, strict=True)):
        dense[row, : len(answer)] = reward[: len(answer)]
    return Rewards(torch.stack([row.sum() for row in dense]), dense)


def _answer(row: list[int], asked: Prompts, place: int, number: int, special: Special) -> list[int]:
    """The answer in a row of outputs: up to and with the first end token, without what fills up."""
    width = max(map(len, asked.given))
    said = row[_behind_prompt(row, asked.given[place], width, special) :]
    stop = next((i for i, token in enumerate(said) if token in special.stops), None)
    if stop is not None:
        return said[: stop + 1]
    while said and said[-1] == special.pad and special.fills:
        said = said[:-1]
    if not said:
        raise PlauditError(
            f"outputs: row {number} has no answer behind its prompt; give what generate returned"
        )
    return said


def _behind_prompt(row: list[int], given: list[int], width: int, special: Special) -> int:
    """Where the answer begins; `joined` fills prompts of different lengths up at the left, to the width of all."""
    for before in ([special.pad] * (width - len(given)) + given, given):
        if row[: len(before)] == before:
            return len(before)
    filled = next((i for i, token in enumerate(row) if token != special.pad), len(row))
    if row[filled : filled + len(given)] != given:
        raise PlauditError(
            "outputs: they do not begin with their prompts; give all that generate returned, and the inputs it answered"
        )
    return filled + len(given)


def _rows(value: Any, name: str) -> list[list[int]]:
    """Ids of a tensor [B, L], or of a list of rows."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple) or not len(value):
        raise PlauditError(f"{name}: there are no rows in it; give a tensor [batch, length] of token ids")
    rows = [row.tolist() if hasattr(row, "tolist") else row for row in value]
    for row in rows:
        if not isinstance(row, list | tuple) or not all(isinstance(i, int) for i in row):
            raise PlauditError(
                f"{name}: give token ids as a tensor [batch, length], or one list of ids per row"
            )
    return [list(map(int, row)) for row in rows]


def _ids(value: object, name: str, special: Special) -> list[list[int]]:
    """Rows of tokens that the model knows."""
    rows = _rows(value, name)
    for number, row in enumerate(rows, 1):
        strange = next((token for token in row if not 0 <= token < special.entries), None)
        if strange is not None:
            raise PlauditError(
                f"{name}: row {number} holds token {strange}, but the model has {special.entries}; use the tokenizer "
                "that belongs to it"
            )
    return rows


def _unpadded(row: list[int], special: Special) -> list[int]:
    if not special.fills:
        return row
    real = [i for i, token in enumerate(row) if token != special.pad]
    return row[real[0] : real[-1] + 1] if real else []


def _texts(rows: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase | None) -> tuple[str, ...]:
    """Texts, or empty ones where nothing can decode: the update itself needs none."""
    if tokenizer is None:
        return ("",) * len(rows)
    decode: Any = tokenizer.decode
    return tuple(decode(list(row), skip_special_tokens=True) for row in rows)
