"""What answers are truly worth: by the rubric, or by somebody's function; simulated people judge by it."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.annotators import rubric
from plaudit.environments.language import callables
from plaudit.environments.language.answers import Answers
from plaudit.pipeline.language.config import RUBRIC

Hidden = Callable[[Answers], Float[Tensor, "B"]]
"""The hidden score of every answer."""


def find(name: str | None, time_limit: float) -> Hidden | None:
    """The hidden score of a config; none where there is none."""
    if name is None:
        return None
    if name == RUBRIC:
        return by_rubric
    reward = callables.adapt(callables.load(name), "hidden", time_limit)
    return lambda answers: reward(answers).scores


def by_rubric(answers: Answers) -> Float[Tensor, "B"]:
    """The rubric's score of answers to service prompts."""
    scores = [
        rubric.score(completion, facts)
        for completion, facts in zip(answers.completions, answers.columns["facts"], strict=True)
    ]
    return torch.tensor(scores)


def of_one(hidden: Hidden, said: Mapping[str, Any]) -> float:
    """The hidden score of one stored answer."""
    columns = {name: [value] for name, value in said["columns"].items()}
    messages = None if said.get("messages") is None else (tuple(said["messages"]),)
    answers = Answers((said["prompt"],), (said["completion"],), (tuple(said["tokens"]),), columns, messages)
    return float(hidden(answers)[0])
