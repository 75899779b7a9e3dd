"""How well a reward forecasts answers that it has not learned from."""

from collections.abc import Sequence
from typing import Any

from plaudit.batches import Comparisons
from plaudit.feedback import agree, options_of
from plaudit.likelihoods import bradley_terry
from plaudit.rewards.learned.fit import assess
from plaudit.rewards.learned.people import People
from plaudit.rewards.learned.terms import Judgement
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
