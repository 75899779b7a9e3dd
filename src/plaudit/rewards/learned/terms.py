"""Feedback as a list of terms: what was said, of whichever kind, as judgements with the likelihood of that kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any

from plaudit.batches import Judgements
from plaudit.declared import NonNegative, Positive, Probability
from plaudit.errors import PlauditError
from plaudit.feedback import Feedback
from plaudit.likelihoods import BY_KIND
from plaudit.storage.store import Response


@dataclass(frozen=True)
class Judgement:
    """What one person said of some options."""

    kind: str
    """Whose likelihood reads it, a key of `likelihoods.BY_KIND`; thumbs are ratings on a scale of two values."""
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

    kind: str
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
    """The judgements in an answer: none where it was skipped."""
    return [
        Judgement(
            one.kind, one.options, one.said, person, first_shown if len(one.options) == 2 else None, where
        )
        for one in feedback.statements()
    ]


def by_kind(judgements: Sequence[Judgement]) -> dict[str, list[Judgement]]:
    """Judgements apart by kind, each in their order; kinds that nobody used are left out."""
    strange = {one.kind for one in judgements} - BY_KIND.keys()
    if strange:
        raise PlauditError(f"no likelihood reads {', '.join(sorted(strange))}; known: {', '.join(BY_KIND)}")
    apart = {kind: [one for one in judgements if one.kind == kind] for kind in BY_KIND}
    return {kind: some for kind, some in apart.items() if some}


def likelihood_of(kind: str, config: LikelihoodConfig) -> Likelihood:
    """The likelihood of a kind of judgements, with those of these settings that it has."""
    module = BY_KIND[kind]
    names = {field.name for field in fields(module.Config)} & {field.name for field in fields(config)}
    return Likelihood(module, module.Config(**{name: getattr(config, name) for name in names}))


def tensors(rows: Sequence[Judgement]) -> Judgements:
    """What was said in rows of one kind. PlauditError where it teaches nothing."""
    said = [one.said for one in rows]
    if all(len(one) > 1 and len(set(one)) == 1 for one in said):
        raise PlauditError(
            f"{rows[0].where}: all options of all {rows[0].kind}s are tied; give {rows[0].kind}s that say more"
        )
    shown = [0.0 if one.first_shown is None else 1.0 if one.first_shown else -1.0 for one in rows]
    return BY_KIND[rows[0].kind].judgements(said, shown)


def decided(one: Judgement) -> bool:
    """Whether it puts an option before another, or a value on one."""
    return len(one.options) == 1 or (one.said[0] != 0.5 if len(one.said) == 1 else len(set(one.said)) > 1)


def informative(judgements: Sequence[Judgement]) -> bool:
    """Whether anything in them tells a better option from a worse one."""
    single: dict[str, set[tuple[float, ...]]] = {}
    for one in judgements:
        if len(one.options) > 1 and decided(one):
            return True
        if len(one.options) == 1:
            single.setdefault(one.kind, set()).add(one.said)
    return any(len(values) > 1 for values in single.values())
