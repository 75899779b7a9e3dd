"""The stage `pretrain`: train a policy on what others did or wrote, before any feedback.

A control policy is cloned from demonstrations; a language model learns texts, or demonstrated completions. Both descend
`imitation/bc`.
"""

from math import isfinite
from pathlib import Path
from typing import Any

from plaudit.algorithms.imitation import bc
from plaudit.errors import Diverged
from plaudit.runs import settings
from plaudit.runs.streams import threads
from plaudit.stages.adapters import adapter
from plaudit.stages.optimise import Watch
from plaudit.stages.pretrain_config import PretrainConfig, PretrainControl
from plaudit.trainers import supervised
from plaudit.trainers.on_policy import Algorithm


def pretrain(config: PretrainConfig, place: str, out: Path, watch: Watch) -> dict[str, Any]:
    """Train on a file and write the policy to `out`; returns the held-out loss and what else is known of it.

    Control: `return_mean`, the true return of the clone; `return_mean_random` and `return_mean_demonstrated`, those of
    drawing any action and, where the file says it, of the demonstrator; `doubt`, a sentence where the clone is no
    better than the former, else none. Language: `val/nll_avg` in nats per token, `val/nll_per_character` in nats per
    character; `left_out` is how many demonstrations were too long.
    """
    of_medium = adapter("control" if isinstance(config, PretrainControl) else "language")
    of_medium.refuse_model(out)
    settings.validate(config)
    mathematics = config.settings if isinstance(config, PretrainControl) else bc.Config()
    with threads(config.threads), of_medium.pretraining_memory_explained():
        data = of_medium.training_data(config, place)
        learner = supervised.Supervised(
            data.policy,
            data.train,
            data.held_out,
            Algorithm(bc, mathematics, "bc"),
            config.trainer,
            data.shuffles,
        )
        reports = _finite(learner, watch)
        return reports[-1] | data.save(out, reports)


def _finite(learner: supervised.Supervised, watch: Watch) -> list[dict[str, Any]]:
    """Step to the end; every report. `Diverged` where the held-out loss is no number any more."""
    diverged = Diverged("the held-out loss is", "lower trainer.learning_rate, or set trainer.max_grad_norm")
    reports: list[dict[str, Any]] = []
    try:
        for metrics in supervised.run(learner):
            if not isfinite(metrics["val/nll_avg"]):
                raise diverged
            watch(metrics)
            reports.append(metrics)
    except Diverged:
        raise diverged from None
    return reports
