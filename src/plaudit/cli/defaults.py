"""A run without a config: what suits an environment, changed by flags."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from plaudit.cli import arguments
from plaudit.environments.control.config import Control
from plaudit.environments.control.look import look, refuse_undrawn
from plaudit.errors import PlauditError
from plaudit.runs import config as configs
from plaudit.runs.config import RunConfig, merged
from plaudit.stages.adapters import control_defaults

OF_PPO = ("settings", "trainer")
"""Parts of a config that are chosen for PPO alone."""


@dataclass(frozen=True)
class Chosen:
    """A config, and why it is as it is, in lines."""

    config: RunConfig
    said: tuple[str, ...]


def of_environment(argv: Sequence[str], description: str) -> Chosen:
    """What `--env ID` and `--labels N` ask for. PlauditError where there is no such environment, or it does not fit."""
    place, algorithm, labels, rest = _asked(argv)
    title = f"run --env {place}"
    base: dict[str, Any] = {"algorithm": algorithm, "environment": {"kind": "control", "id": place}}
    if labels:
        base |= {
            "reward": {"weights": {"environment": 0.0, "learned": 1.0}},
            "feedback": {"labels": labels, "first": min(labels, 20)},
        }
    given = arguments.override(configs.parse(base), rest, title, description)
    environment = given.environment
    assert isinstance(environment, Control)
    seen = look(environment)
    if labels and not given.feedback.people:
        refuse_undrawn(environment)
    choices = control_defaults.choose(seen, labels)
    if algorithm != "ppo":
        kept = (replace(one, values=_without(one.values, OF_PPO)) for one in choices)
        choices = [one for one in kept if one.values]
    chosen = control_defaults.together(choices)
    config = arguments.override(configs.parse(merged(base, chosen)), rest, title, description)
    limit = chosen["environment"].get("kwargs", {})
    config = replace(config, environment=replace(config.environment, kwargs={**limit, **environment.kwargs}))
    control_defaults.refuse_too_many(config)
    notes = control_defaults.notes(seen, labels)
    head = f"{place}: {control_defaults.described(seen)}"
    return Chosen(config, (head, *(f"  {one}" for one in choices), *(f"note: {one}" for one in notes)))


def _asked(argv: Sequence[str]) -> tuple[str, str, int, list[str]]:
    """The environment, the algorithm and the number of comparisons, and the other flags."""
    place, rest = arguments.take(argv, "env")
    longer, rest = arguments.take(rest, "environment.id")
    place = place or longer
    if not place:
        raise PlauditError(
            "run: the first argument is the config file, or an environment is named by --env, such as --env CartPole-v1"
        )
    algorithm, rest = arguments.take(rest, "algorithm", "ppo")
    labels, rest = arguments.take(rest, "labels")
    longer, rest = arguments.take(rest, "feedback.labels")
    labels = labels or longer
    return place, str(algorithm), arguments.whole(labels, "labels") if labels else 0, rest


def _without(values: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
