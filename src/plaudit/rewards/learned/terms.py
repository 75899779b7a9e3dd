"""Feedback as a list of terms: what was said, of whichever kind, as judgements with the likelihood of that kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan
from types import ModuleType
from typing import Any, Literal

import torch

from plaudit.batches import Comparisons, Judgements, Rankings, Ratings
from plaudit.declared import NonNegative, Positive, Probability
from plaudit.errors import PlauditError
from plaudit.feedback import Binary, Comparison, Feedback, Ranking, Rating
from plaudit.likelihoods import bradley_terry, plackett_luce, rating
from plaudit.storage.store import Response

Kind = Literal["comparison", "ranking", "rating"]
"""Kinds of judgements; thumbs are ratings on a scale of two values."""
PREFERENCE = {"first": 1.0, "second": 0.0, "equal": 0.5}
"""What the answer to a comparison says of the first option; skipped ones say nothing."""


@dataclass(frozen=True)
class Judgement:
    """What one person said of some options."""

    kind: Kind
    options: tuple[Any, ...]
    """Whatever the reward's medium calls an option: two of a comparison, all of a ranking, one of a rating."""
    said: tuple[float, ...]
    """Of a comparison 1, 0 or .5 (the first is better, the second, equal); the ranks; the rating from 0 to 1."""
    person: str | None = None
    """Who said it, where that is known."""
    first_shown: bool | None = None
    """Of a comparison: whether its first option was the one shown first; None: not known."""
    where: str = ""
    """File and place, for errors."""


@dataclass(frozen=True)
class LikelihoodConfig:
    """How what people say depends on the reward."""

    scale: Positive = 1.0
    """Inverse temperature: how much surer people are for each unit of reward more."""
    label_noise: Probability = 0.0
    """Share of answers taken to be coin flips, of people whose reliability is not estimated."""
    centring: NonNegative = 0.0
    """Weight of (first + second)^2 of every comparison, which keeps returns near zero."""


@dataclass(frozen=True)
class Likelihood:
    """A likelihood module with its settings."""

    module: ModuleType
    settings: Any


@dataclass(frozen=True)
class Term:
    """All judgements of one kind with what they are about."""

    kind: Kind
    options: Any
    """The options' tensors [R, C, ...], which the reward's scorer reads."""
    judgements: Judgements
    likelihood: Likelihood
    people: tuple[str | None, ...] = ()
    """Who said each."""
    weight: float = 1.0
    """How much one judgement of this kind counts beside one of another."""

    @property
    def count(self) -> int:
        """How many judgements."""
        return len(self.people)


def of_responses(responses: Iterable[Response]) -> list[Judgement]:
    """Judgements in stored answers, their options by content hash; answers that say nothing are left out."""
    found = []
    for response in responses:
        order = response.shown_order
        shown = None if len(order) != 2 else order[0] == 0
        found += of_feedback(response.feedback, response.annotator, shown, f"answer {response.seq}")
    return found


def of_feedback(
    feedback: Feedback, person: str | None = None, first_shown: bool | None = None, where: str = ""
) -> list[Judgement]:
    """The judgements in an answer: none where it was skipped, two thumbs down where both options are bad."""
    if isinstance(feedback, Comparison):
        if feedback.answer == "both_bad":
            return [Judgement("rating", (one,), (0.0,), person, None, where) for one in feedback.options]
        preference = PREFERENCE.get(feedback.answer)
        if preference is None:
            return []
        return [Judgement("comparison", feedback.options, (preference,), person, first_shown, where)]
    if isinstance(feedback, Ranking):
        if feedback.ranks is None or len(set(feedback.ranks)) < 2:  # a tie of all tells nothing apart
            return []
        said = tuple(map(float, feedback.ranks))
        return [Judgement("ranking", feedback.options, said, person, None, where)]
    if isinstance(feedback, Rating):
        if feedback.value is None:
            return []
        said = (feedback.value - feedback.low) / (feedback.high - feedback.low)
        return [Judgement("rating", (feedback.option,), (said,), person, None, where)]
    assert isinstance(feedback, Binary)
    if feedback.good is None:
        return []
    return [Judgement("rating", (feedback.option,), (float(feedback.good),), person, None, where)]


def by_kind(judgements: Sequence[Judgement]) -> dict[Kind, list[Judgement]]:
    """Judgements apart by kind, each in their order; kinds that nobody used are left out."""
    kinds: tuple[Kind, ...] = ("comparison", "ranking", "rating")
    apart: dict[Kind, list[Judgement]] = {
        kind: [one for one in judgements if one.kind == kind] for kind in kinds
    }
    return {kind: some for kind, some in apart.items() if some}


def likelihood_of(kind: Kind, config: LikelihoodConfig) -> Likelihood:
    """The likelihood of a kind of judgements."""
    if kind == "comparison":
        settings = bradley_terry.Config(config.scale, config.label_noise, config.centring)
        return Likelihood(bradley_terry, settings)
    module = plackett_luce if kind == "ranking" else rating
    return Likelihood(module, module.Config(config.scale, config.label_noise))


def tensors(rows: Sequence[Judgement]) -> Judgements:
    """What was said in rows of one kind. PlauditError where it teaches nothing."""
    kind, said = rows[0].kind, [one.said for one in rows]
    if kind == "comparison":
        signs = [0.0 if one.first_shown is None else 1.0 if one.first_shown else -1.0 for one in rows]
        return Comparisons(torch.tensor([one[0] for one in said]), shown=torch.tensor(signs))
    if kind == "ranking":
        most = max(map(len, said))
        ranks = torch.tensor([[*one, *[nan] * (most - len(one))] for one in said])
        if not (ranks[:, :, None] < ranks[:, None, :]).any():
            raise PlauditError(
                f"{rows[0].where}: all options of all rankings are tied; give rankings that say more"
            )
        return Rankings(ranks)
    return Ratings(torch.tensor([one[0] for one in said]))


def informative(judgements: Sequence[Judgement]) -> bool:
    """Whether anything in them tells a better option from a worse one."""
    values = {one.said[0] for one in judgements if one.kind == "rating"}
    if len(values) > 1:
        return True
    others = (one for one in judgements if one.kind != "rating")
    return any(one.kind == "comparison" or len(set(one.said)) > 1 for one in others)
