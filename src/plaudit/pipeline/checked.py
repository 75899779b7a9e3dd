"""Does a run config make sense: numbers in their range, fields that agree with one another."""

from dataclasses import fields
from typing import Any

from plaudit.algorithms.on_policy.reinforce import CriticQ
from plaudit.errors import PlauditError
from plaudit.maths.advantage import GAE
from plaudit.runs.settings import validate


def checked(config: Any) -> Any:
    """The config, if it makes sense; PlauditError with the field to change otherwise."""
    validate(config)
    _rewards(config)
    learner_agrees(config, config.reference is not None, config.policy.critic)
    return config


def _rewards(config: Any) -> None:
    weights = config.reward.weights
    unknown = sorted(set(weights) - {"environment", "learned"})
    if unknown:
        raise PlauditError(
            f"reward.weights: unknown name {unknown[0]!r}; known are 'environment' and 'learned'"
        )
    if not any(weights.values()):
        raise PlauditError(
            "reward.weights: all are 0, so nothing is wanted; give environment or learned a weight"
        )
    learned = weights.get("learned", 0)
    if learned and not config.feedback.labels and config.reward.start is None:
        raise PlauditError(
            "reward.weights: 'learned' has a weight but nothing teaches it; set feedback.labels or reward.start"
        )
    if config.feedback.labels and not learned:
        raise PlauditError(
            "feedback.labels: people are asked but reward.weights gives 'learned' no weight; give it one"
        )
    if config.feedback.labels and config.feedback.first > config.feedback.labels:
        raise PlauditError("feedback.first: more than feedback.labels; lower it")


def learner_agrees(config: Any, reference: bool, critic: bool) -> None:
    """Do the settings of the algorithm and its trainer agree with what there is?"""
    settings, trainer = config.settings, config.trainer
    if any(getattr(settings, name, 0) for name in ("kl_in_reward", "kl_in_loss")) and not reference:
        raise PlauditError(
            "reference: a KL price is set but there is no policy to stay near; give its folder here"
        )
    target = trainer.kl_target
    if target is not None and (target <= 0 or not getattr(settings, "kl_in_reward", 0)):
        raise PlauditError(
            "trainer.kl_target: the controller scales settings.kl_in_reward; give both a number above 0"
        )
    numbers = {f.name for f in fields(settings) if isinstance(getattr(settings, f.name), float)}
    for name in trainer.anneal:
        if name not in numbers:
            raise PlauditError(
                f"trainer.anneal: {name!r} is no number of settings; known: {', '.join(sorted(numbers))}"
            )
    values = [getattr(settings, f.name) for f in fields(settings)]
    if not critic and any(isinstance(value, GAE | CriticQ) for value in values):
        raise PlauditError("policy.critic: this estimate of advantages needs a critic; give it one")
