"""How well a reward forecasts answers that it has not learned from."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from plaudit.batches import Comparisons
from plaudit.feedback import agree, options_of
from plaudit.likelihoods import bradley_terry
from plaudit.maths.intervals import wilson
from plaudit.rewards.learned.fit import assess
from plaudit.rewards.learned.people import People
from plaudit.rewards.learned.terms import Judgement, decided, informative
from plaudit.rewards.learned.trainer import RewardTrainer
from plaudit.storage.store import Response


def forecast(trainer: RewardTrainer, judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Accuracy and loss on held-out judgements, and for comparisons each forecast beside its answer.

    Metrics `reward/held_out_*` of comparisons; of other kinds with the kind before them,
    `reward/held_out_ranking_accuracy`.
    """
    found: dict[str, Any] = {}
    for term in trainer.terms(judgements):
        returns = trainer.returns(term)
        said = trainer.people.entering(term.judgements)
        metrics = assess(returns, said, term.likelihood)
        prefix = "" if term.kind == "comparison" else f"{term.kind}_"
        found |= {f"reward/held_out_{prefix}{name}": metrics[f"reward/{name}"]
                  for name in ("accuracy", "nll")}  # fmt: skip
        if isinstance(said, Comparisons):
            logits = bradley_terry.logits(returns, said, term.likelihood.settings)
            first, _ = bradley_terry.log_probabilities(logits, said, term.likelihood.settings)
            found["reward/held_out_probabilities"] = first.exp().tolist()
            found["reward/held_out_answers"] = said.preference.tolist()
    return found


ENOUGH = 30
"""Fewer answers cannot tell people from coins: they are believed."""
SURE = 3.0
"""Standard errors by which a share must beat a half; it is looked at after every round until it does."""


CHECKED = 200
"""Gradient steps of each of these fits, at most."""


@dataclass(frozen=True)
class Foreseen:
    """So many of so many answers."""

    right: float = 0.0
    answers: int = 0


def foreseen(
    trainer: RewardTrainer, judgements: Sequence[Judgement], untaught: Mapping[str, Any] | None
) -> Foreseen:
    """How many decided answers a reward foresees that has learned from the others alone, by cross-validation.

    Every fold is fitted from `untaught`, the trainer's state before it learned; it is left as it was. None: not done.
    """
    folds = trainer.medium.folds
    if untaught is None or len(judgements) < ENOUGH:
        return Foreseen()
    before, right, answers = deepcopy(trainer.state_dict()), 0.0, 0
    for fold in range(folds):
        rest = [one for i, one in enumerate(judgements) if i % folds != fold]
        asked = [one for i, one in enumerate(judgements) if i % folds == fold and decided(one)]
        if not asked or not informative(rest):
            continue
        trainer.load_state_dict(deepcopy(dict(untaught)))
        trainer.fit(rest, min(CHECKED, trainer.config.fit.first_steps))
        for term in trainer.terms(asked):
            said = trainer.people.entering(term.judgements)
            metrics = assess(trainer.returns(term), said, term.likelihood)
            right, answers = right + metrics["reward/accuracy"] * term.count, answers + term.count
    trainer.load_state_dict(before)
    return Foreseen(right, answers)


def beats_a_coin(seen: Foreseen) -> bool:
    """Whether that is more than chance makes likely; too few answers are given the benefit of the doubt."""
    return seen.answers < ENOUGH or wilson(round(seen.right), seen.answers, SURE)[0] > 0.5


def held_out(trainer: RewardTrainer, judgements: Sequence[Judgement]) -> dict[str, float]:
    """How well the reward as it is agrees with answers that are never learned from: `reward/calibration_*`."""
    found = forecast(trainer, judgements) if judgements else {}
    return {
        name.replace("held_out_", "calibration_"): value
        for name, value in found.items()
        if isinstance(value, float)
    }


def consistency(standing: Sequence[Response], again: Sequence[Response]) -> dict[str, float]:
    """Of the questions that somebody was asked again, the share answered as the first time."""
    first = {_about(one): one.feedback for one in standing} if again else {}
    pairs = [(one.feedback, first[_about(one)]) for one in again if _about(one) in first]
    if not pairs:
        return {}
    return {"people/consistency": sum(agree(a, b) for a, b in pairs) / len(pairs)}


def reliabilities(people: People) -> dict[str, float]:
    """Everybody's reliability, side bias and leniency, where these are estimated."""
    if not people.estimated:
        return {}
    return {
        f"people/{field}/{name}": value
        for name, values in people.report().items()
        for field, value in values.items()
    }


def _about(response: Response) -> tuple[str, frozenset[str]]:
    return response.annotator, frozenset(options_of(response.feedback))
