"""What people are asked, and how a discriminator is trained: plain values, read without any environment or model."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from plaudit.annotators.simulated import SimulatedPerson
from plaudit.declared import BeforeTheEnd, Count, NonNegative, Positive, Whole, between
from plaudit.feedback import Kind

RUBRIC = "rubric"
"""As a gold reward, in place of a function: the rubric of the service dialogues."""


@dataclass(frozen=True)
class FeedbackConfig:
    """What people are asked, and when."""

    labels: Whole = 0
    """Questions asked in all; 0: nobody is asked."""
    first: Count = 50
    """Questions about the behaviour of the policy as it starts."""
    rounds: Whole = 15
    """Rounds in which the others are asked, each smaller than the one before."""
    until: BeforeTheEnd = 0.5
    """Share of the budget after which nothing more is asked."""
    kinds: dict[Kind, NonNegative] = field(default_factory=lambda: {"comparison": 1.0})
    """Shares of the kinds of questions, such as {comparison: 1, rating: 1}: which of two, in which order, how good from
    1 to 5, good or bad."""
    options: Annotated[int, between(2, 6)] = 4
    """Options of a ranking."""
    held_out: BeforeTheEnd = 0.0
    """Share of the questions whose answers are never learned from: they say how good the reward is."""
    question: str | None = None
    """What to judge by, in words for people."""
    query: Literal["random", "disagreement"] = "random"
    """Which pairs of segments are asked about: any, or those on which the ensemble disagrees most."""
    candidates: Count = 10
    """Random pairs considered for each one asked, when asking by disagreement."""
    segment: Count = 100
    """Steps of each segment shown."""
    people: tuple[SimulatedPerson, ...] = (SimulatedPerson(),)
    """Simulated people who answer in turn; an empty list waits for real ones."""
    judge: str | None = None
    """Control: what simulated people judge by, as path/to/file.py:function (which gets observations, actions and next
    observations of a segment, [1, T, ...]); none: the environment's own reward. Nothing else learns from it."""
    ahead: Whole = 10
    """Real people: the loop rests while more questions than this wait, so that it does not run away from them."""
    patience: Positive | None = None
    """Real people: seconds it rests without an answer before it goes on with what it knows; none: it waits for them."""


@dataclass(frozen=True)
class DiscriminatorConfig:
    """How the discriminator is trained."""

    learning_rate: NonNegative = 1e-3
    """Step size of Adam."""
    steps: Count = 8
    """Gradient steps after each rollout."""
    minibatch_size: Count = 256
    """Decisions of each side per gradient step."""
    weight_decay: NonNegative = 1e-3
    """Decoupled weight decay."""
