"""Does a run config make sense: numbers in their range, fields that agree with one another."""

import sys
from dataclasses import fields
from typing import Any

from plaudit.algorithms.on_policy.reinforce import CriticQ
from plaudit.errors import PlauditError
from plaudit.maths.advantage import GAE

LEARNER: dict[str, tuple[float, float | None]] = {
    "settings.discount": (0, 1),
    "settings.advantage.lam": (0, 1),
    "settings.clip": (0, None),
    "settings.value_clip": (0, None),
    "settings.value_coef": (0, None),
    "trainer.learning_rate": (0, None),
    "trainer.max_grad_norm": (0, None),
    "trainer.epochs": (1, None),
    "trainer.minibatch": (1, None),
    "trainer.piece": (1, None),
    "trainer.kl_horizon": (1, None),
    "reward.fit.minibatch": (1, None),
    "reward.fit.first_steps": (0, None),
    "reward.fit.steps": (0, None),
    "reward.fit.piece": (1, None),
    "feedback.labels": (0, None),
}
"""What every run has."""

RANGES: dict[str, tuple[float, float | None]] = LEARNER | {
    "steps": (1, None),
    "threads": (1, None),
    "rollout": (1, None),
    "evaluate_every": (0, None),
    "evaluate_episodes": (1, None),
    "checkpoint_every": (1, None),
    "reward.model.members": (1, None),
    "reward.fit.drawn": (0.001, 1),
    "feedback.first": (1, None),
    "feedback.rounds": (0, None),
    "feedback.until": (0, 0.99),
    "feedback.ahead": (0, None),
    "feedback.patience": (0.001, None),
    "feedback.segment": (1, None),
    "feedback.candidates": (1, None),
}
"""The least and the largest value of numbers; none: no limit."""


def checked(config: Any) -> Any:
    """The config, if it makes sense; PlauditError with the field to change otherwise."""
    in_range(config, RANGES)
    _rewards(config)
    learner_agrees(config, config.reference is not None, config.policy.critic)
    if min((*config.policy.hidden, *config.reward.model.hidden), default=1) < 1:
        raise PlauditError("hidden: a layer needs at least 1 unit; change this field")
    return config


def in_range(config: Any, ranges: dict[str, tuple[float, float | None]]) -> None:
    """Every named number within its limits; a field that the config does not have is passed over."""
    for path, (low, high) in ranges.items():
        value: Any = config
        for name in path.split("."):
            value = getattr(value, name, None)
        if value is not None and not low <= value <= (sys.float_info.max if high is None else high):
            limits = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
            raise PlauditError(f"{path}: must be {limits}, not {value}; change this field")


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
