"""Three answers, and a look at what a reward says of them."""

import pytest
import torch

from plaudit.batches import Rewards
from plaudit.environments.language.prompts import Answers
from plaudit.errors import PlauditError
from plaudit.rewards.functions import adapt

PROMPTS = ("Who?", "Why?", "When?")
COMPLETIONS = (" me", " because it rains", " now")
TOKENS = ((5, 1), (6, 7, 8, 1), (9, 1))


def some(messages: bool = False, **columns: list) -> Answers:
    """Three answers, of 2, 4 and 2 tokens."""
    said = tuple(({"role": "user", "content": prompt},) for prompt in PROMPTS) if messages else None
    return Answers(PROMPTS, COMPLETIONS, TOKENS, columns, said)


def numbers(graded: Rewards) -> list[float]:
    """The scores, after a look at their type and device."""
    assert graded.scores.dtype == torch.float32 and graded.scores.device.type == "cpu"
    return graded.scores.tolist()


def message(function, answers: Answers | None = None, **how) -> str:
    """The one sentence of the error."""
    with pytest.raises(PlauditError) as caught:
        adapt(function, "mine", **how)(answers or some())
    text = str(caught.value)
    assert text.startswith("reward 'mine'") and "\n" not in text
    return text
