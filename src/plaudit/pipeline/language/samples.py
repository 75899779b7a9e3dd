"""Answers side by side for the report: before, after and the best of several, each token with what it adds."""

import json
from collections.abc import Sequence
from typing import Any

import torch

from plaudit.environments.language.collect import Speech, Talk, talk
from plaudit.environments.language.prompts import Prompt
from plaudit.models.language.reward_model import TextReward, texts
from plaudit.pipeline.language.evaluate import Judges
from plaudit.pipeline.language.teaching import same_tokens, sequence

NAME = "samples.json"
"""In the run folder."""
SHOWN, DRAWS = 6, 8


@torch.no_grad()
def side_by_side(
    models: tuple[Any, Any],
    asked: Sequence[Prompt],
    speech: Speech,
    judges: Judges,
    model: TextReward | None,
    seed: int,
) -> list[dict[str, Any]]:
    """For the first few prompts the answers of both models and the best of 8 of the first by the proxy."""
    before, after = models
    some = list(asked[:SHOWN])
    generator = torch.Generator().manual_seed(seed)
    one, two = talk(before, some, speech, generator), talk(after, some, speech, generator)
    many = talk(before, [prompt for prompt in some for _ in range(DRAWS)], speech, generator)
    top = judges.proxy(many.answers).scores.reshape(len(some), DRAWS).argmax(dim=1)
    rows = []
    for i, prompt in enumerate(some):
        said = {
            "before": shown(one, i, speech, judges, model),
            "after": shown(two, i, speech, judges, model),
            "best": shown(many, i * DRAWS + int(top[i]), speech, judges, model),
        }
        rows.append({"prompt": prompt.text} | said)
    return rows


def shown(said: Talk, row: int, speech: Speech, judges: Judges, model: TextReward | None) -> dict[str, Any]:
    """An answer in its tokens, what each adds to the learned reward, and what it is worth."""
    alone = one_of(said, row)
    ids = alone.answers.tokens[0]
    answer = {
        "tokens": speech.vocabulary.pieces(ids),
        "text": alone.answers.completions[0],
        "proxy": float(judges.proxy(alone.answers).scores[0]),
        "hidden": None if judges.hidden is None else float(judges.hidden(alone.answers)[0]),
    }
    if model is not None and same_tokens(model.vocabulary, speech.vocabulary):
        answer["adds"] = added(model, alone, len(ids))
    return answer


def added(model: TextReward, said: Talk, count: int) -> list[float]:
    """By how much each token of an answer moves the reward of what has been said so far."""
    a = said.answers
    about: dict[str, Any] = {
        "prompt": a.prompts[0],
        "completion": a.completions[0],
        "tokens": a.tokens[0],
        "ended": True,
    }
    about["messages"] = None if a.messages is None else a.messages[0]
    about["columns"] = {name: values[0] for name, values in a.columns.items()}
    whole = sequence(model, about, model.vocabulary)
    start = max(1, len(whole) - count)
    prefixes = [whole[: start + n] for n in range(count + 1)]
    scores = model.rewards(texts(prefixes, model.device)).cpu()
    return (scores[1:] - scores[:-1]).tolist()


def one_of(said: Talk, row: int) -> Talk:
    """One answer alone."""
    a = said.answers
    columns = {name: [values[row]] for name, values in a.columns.items()}
    messages = None if a.messages is None else (a.messages[row],)
    answers = type(a)((a.prompts[row],), (a.completions[row],), (a.tokens[row],), columns, messages)
    return Talk(said.record, answers, said.ended[row : row + 1], said.group[row : row + 1])


def text(rows: list[dict[str, Any]]) -> str:
    """As a file holds them."""
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
