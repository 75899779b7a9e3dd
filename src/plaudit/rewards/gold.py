"""The gold reward of text (Gao et al. 2022, arXiv:2210.10760, section 2.1): what completions are truly worth, by the
rubric or by somebody's function. Simulated people judge by it and evaluations report it; nothing learns from it."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.annotators import rubric
from plaudit.environments.language.prompts import Answers
from plaudit.feedback.text_record import TextRecord
from plaudit.rewards import functions
from plaudit.rewards.config import RUBRIC

GoldReward = Callable[[Answers], Float[Tensor, "B"]]
"""The gold reward of every completion."""


def find(name: str | None, time_limit: float) -> GoldReward | None:
    """The gold reward of a config; none where there is none."""
    if name is None:
        return None
    if name == RUBRIC:
        return by_rubric
    reward = functions.adapt(functions.load(name), "gold_reward", time_limit)
    return lambda answers: reward(answers).scores


def by_rubric(answers: Answers) -> Float[Tensor, "B"]:
    """The rubric's score of completions of service prompts."""
    scores = [
        rubric.score(completion, facts)
        for completion, facts in zip(answers.completions, answers.columns["facts"], strict=True)
    ]
    return torch.tensor(scores)


def of_one(gold: GoldReward, said: TextRecord) -> float:
    """The gold reward of one stored completion."""
    columns = {name: [value] for name, value in (said.columns or {}).items()}
    messages = None if said.messages is None else (tuple(dict(one) for one in said.messages),)
    answers = Answers(
        (said.prompt or "",), (str(said.completion),), (tuple(said.tokens or ()),), columns, messages
    )
    return float(gold(answers)[0])
