"""What a language model is asked: plain values, so that a config is read without transformers."""

from dataclasses import dataclass
from typing import Annotated, Literal

from plaudit.declared import Count, NonNegative, at_least, between, refuse


@dataclass(frozen=True)
class Score:
    """The horizon is part of the task: a capped answer is scored like any other, and nothing follows."""


@dataclass(frozen=True)
class Penalty:
    """A capped answer is scored, and pays for not having ended."""

    amount: NonNegative = 1.0
    """Taken off its score."""

    def __post_init__(self) -> None:
        """Raise PlauditError where it would be no penalty."""
        refuse(self, "cap.")


@dataclass(frozen=True)
class Bootstrap:
    """A capped answer gets no score: it is cut, and the critic says what would have followed.

    Dense rewards are paid up to the last decision, where a judgement of the whole stands.
    """


Cap = Score | Penalty | Bootstrap


SERVICE = "service"
"""In place of a file: the service dialogues that plaudit generates."""


@dataclass(frozen=True)
class Language:
    """What is asked of the model, and how it answers."""

    prompts: str = SERVICE
    """A file with prompts (JSONL, JSON or CSV), or `service`: the service dialogues that plaudit generates."""
    split: str | None = None
    """Learn from the rows of this split alone."""
    evaluate_on: str | None = None
    """A file with prompts to evaluate on; none: rows of the same file that are not learned from."""
    evaluate_split: str | None = None
    """Evaluate on the rows of this split."""
    held_out: Annotated[float, between(0.01, 0.9)] = 0.1
    """Where neither is given: the share of the prompts kept for the evaluation."""
    count: Annotated[int, at_least(10)] = 2000
    """How many service dialogues to generate."""
    too_long: Literal["refuse", "leave out", "cut"] = "refuse"
    """A prompt that does not fit the context beside its completion: an error, left out, or cut at its beginning."""
    max_new_tokens: Count = 64
    """The length cap of a completion."""
    batch_size: Count = 64
    """Completions per update."""
    num_generations: Count = 1
    """Completions of each prompt."""
    stop: tuple[str, ...] = ()
    """Further texts that end an answer, each of them one token."""
    cap: Cap = Score()
    """What the length cap means: score, penalty or bootstrap."""
