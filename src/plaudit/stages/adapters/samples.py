"""Completions side by side for the report: before, after and the best of several, each token with what it adds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from plaudit.batches.rows import take
from plaudit.environments.language.prompts import Prompt
from plaudit.environments.language.rollouts import Completions, GenerationConfig, generate
from plaudit.models.language.policy import LanguagePolicy, WithoutAdapters
from plaudit.models.language.reward_model import TextReward, texts
from plaudit.rewards.text import record_of, same_tokens, sequence
from plaudit.stages.adapters.language_evaluate import Scorers

NAME = "samples.json"
"""In the run folder."""
SHOWN, DRAWS = 6, 8


@dataclass(frozen=True)
class Shown:
    """By what completions are made and measured."""

    generation: GenerationConfig
    scorers: Scorers
    model: TextReward | None
    """The learned reward, where there is one."""


@torch.no_grad()
def side_by_side(
    before: LanguagePolicy | WithoutAdapters,
    after: LanguagePolicy,
    asked: Sequence[Prompt],
    by: Shown,
    seed: int,
) -> list[dict[str, Any]]:
    """For the first few prompts the completions of both models and the best of 8 of the first by the proxy."""
    some = list(asked[:SHOWN])
    draws = torch.Generator().manual_seed(seed)
    one, two = (generate(policy, some, by.generation, draws) for policy in (before, after))
    many = generate(before, [prompt for prompt in some for _ in range(DRAWS)], by.generation, draws)
    top = by.scorers.proxy.rewards(many).scores.reshape(len(some), DRAWS).argmax(dim=1)
    rows = []
    for i, prompt in enumerate(some):
        said = {
            "before": shown(one, i, by),
            "after": shown(two, i, by),
            "best": shown(many, i * DRAWS + int(top[i]), by),
        }
        rows.append({"prompt": prompt.text} | said)
    return rows


def shown(said: Completions, row: int, by: Shown) -> dict[str, Any]:
    """A completion in its tokens, what each adds to the learned reward, and what it is worth."""
    alone = one_of(said, row)
    ids = alone.answers.tokens[0]
    vocabulary, gold = by.generation.vocabulary, by.scorers.gold
    found = {
        "tokens": vocabulary.pieces(ids),
        "text": alone.answers.completions[0],
        "proxy_reward": float(by.scorers.proxy.rewards(alone).scores[0]),
        "gold_reward": None if gold is None else float(gold(alone.answers)[0]),
    }
    if by.model is not None and same_tokens(by.model.vocabulary, vocabulary):
        found["adds"] = added(by.model, alone, len(ids))
    return found


def added(model: TextReward, said: Completions, count: int) -> list[float]:
    """By how much each token of a completion moves the reward of what has been said so far."""
    whole = sequence(model, record_of(said, 0), model.vocabulary)
    start = max(1, len(whole) - count)
    prefixes = [whole[: start + n] for n in range(count + 1)]
    scores = model.rewards(texts(prefixes, model.device)).cpu()
    return (scores[1:] - scores[:-1]).tolist()


def one_of(said: Completions, row: int) -> Completions:
    """One completion alone."""
    a, rows = said.answers, slice(row, row + 1)
    columns = {name: [values[row]] for name, values in a.columns.items()}
    messages = None if a.messages is None else (a.messages[row],)
    answers = type(a)((a.prompts[row],), (a.completions[row],), (a.tokens[row],), columns, messages)
    return Completions(take(said.record, rows), answers, said.ended[rows], said.group[rows])


def text(rows: list[dict[str, Any]]) -> str:
    """As a file holds them."""
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
