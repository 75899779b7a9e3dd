"""How well a reward forecasts answers that it has not learned from."""

from collections.abc import Sequence
from typing import Any

from plaudit.likelihoods import bradley_terry
from plaudit.rewards.learned.fit import assess
from plaudit.rewards.learned.terms import Judgement
from plaudit.rewards.learned.trainer import RewardTrainer


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
        if term.kind == "comparison":
            logits = bradley_terry.logits(returns, said, term.likelihood.settings)
            first, _ = bradley_terry.log_probabilities(logits, said, term.likelihood.settings)
            found["reward/held_out_probabilities"] = first.exp().tolist()
            found["reward/held_out_answers"] = said.preference.tolist()
    return found
