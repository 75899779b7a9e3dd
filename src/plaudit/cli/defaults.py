"""A run without a config: what suits an environment, changed by flags."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from plaudit.cli import arguments
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
    asked = _asked(argv)
    title = f"run --env {asked.place}"

    def changed(mapping: dict[str, Any]) -> RunConfig:
        """By the flags, which win over whatever is chosen."""
        return arguments.override(configs.parse(mapping), asked.flags, title, description)

    base = _least(asked)
    given = changed(base)
    environment = control_defaults.environment_of(given)
    seen = look(environment)
    if asked.labels and not given.feedback.people:
        refuse_undrawn(environment)
    choices = control_defaults.choose(seen, asked.labels)
    if asked.algorithm != "ppo":
        kept = (replace(one, values=_without(one.values, OF_PPO)) for one in choices)
        choices = [one for one in kept if one.values]
    chosen = control_defaults.together(choices)
    config = changed(merged(base, chosen))
    kwargs = {**chosen["environment"].get("kwargs", {}), **environment.kwargs}  # given ones are given whole
    config = replace(config, environment=replace(config.environment, kwargs=kwargs))
    control_defaults.refuse_too_many(config)
    told = (f"note: {one}" for one in control_defaults.notes(seen, asked.labels))
    head = f"{asked.place}: {control_defaults.described(seen)}"
    return Chosen(config, (head, *(f"  {one}" for one in choices), *told))


def _least(asked: "Asked") -> dict[str, Any]:
    """A config that says no more than was asked."""
    found = {"algorithm": asked.algorithm, "environment": {"kind": "control", "id": asked.place}}
    if not asked.labels:
        return found
    return found | {
        "reward": {"weights": {"environment": 0.0, "learned": 1.0}},
        "feedback": {"labels": asked.labels, "first": min(asked.labels, 20)},
    }


@dataclass(frozen=True)
class Asked:
    """What a command line says that everything else depends on."""

    place: str
    algorithm: str
    labels: int
    flags: list[str]
    """The others."""


def _asked(argv: Sequence[str]) -> Asked:
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
    labels = longer or labels
    return Asked(place, str(algorithm), arguments.whole(labels, "labels") if labels else 0, rest)


def _without(values: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
