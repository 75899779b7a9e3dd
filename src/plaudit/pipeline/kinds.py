"""The two kinds of runs, told apart by their configs: control and language.

Each kind is imported when it is asked for: a machine for language needs no environments, and the other way round.
"""

from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from plaudit.rewards.learned.loop import Preferences
from plaudit.runs import settings
from plaudit.runs.folder import RunFolder
from plaudit.trainers import on_policy

OF_LANGUAGE = ("updates", "hidden", "watch", "evaluate_prompts", "device")
"""Fields that only the config of a language run has."""
AnyConfig = Any
"""A `control.config.RunConfig` or a `language.config.RunConfig`."""


class Run(Protocol):
    """A run put together from its config; everything that changes is in one saved tree."""

    config: AnyConfig
    state: on_policy.State
    preferences: Preferences | None
    notes: set[str]
    """What somebody should know about this run."""
    resume: str
    """exact; or statistical, where an environment cannot be put back where it stood or sums on a GPU vary."""

    @property
    def done(self) -> bool:
        """The budget is spent."""
        ...

    def begin(self, folder: RunFolder) -> None:
        """Keep what there is before anything is learned."""
        ...

    def tick(self) -> dict[str, Any]:
        """One update; returns its metrics."""
        ...

    def finish(self, folder: RunFolder) -> dict[str, Any]:
        """Save what was learned; returns how good it is."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        ...

    def load_state_dict(self, tree: dict[str, Any]) -> None:
        """Continue from a saved tree."""
        ...

    def close(self) -> None:
        """Release what is open."""
        ...


def kind_of(config: AnyConfig) -> str:
    """control or language."""
    return "language" if hasattr(config, "language") else "control"


def budget(config: AnyConfig) -> tuple[int, str]:
    """How far a run goes, and in which field of its metrics that is counted."""
    return (config.updates, "update") if kind_of(config) == "language" else (config.steps, "decisions")


def checked(config: AnyConfig) -> AnyConfig:
    """The config, if it makes sense."""
    return _configs(kind_of(config)).checked(config)


def with_settings(config: AnyConfig) -> AnyConfig:
    """The config with its algorithm's settings as that algorithm's Config."""
    return _configs(kind_of(config)).with_settings(config)


def load(path: Path) -> AnyConfig:
    """The config in a YAML file, checked field by field."""
    return from_mapping(settings.load_yaml(path), str(path))


def from_mapping(mapping: dict[str, Any], where: str) -> AnyConfig:
    """A config from plain data; `where` names its source in errors. It is for language where `language` is in it, or
    no `environment` but what only a language run has."""
    return _configs(_kind_of(mapping)).from_mapping(mapping, where)


def draft(mapping: dict[str, Any]) -> AnyConfig:
    """A config from plain data whose fields need not agree yet: flags may say more."""
    return _configs(_kind_of(mapping)).draft(mapping)


def settled(config: AnyConfig) -> AnyConfig:
    """The config with absolute paths, so that its run can be resumed from anywhere."""
    return _configs(kind_of(config)).settled(config)


def build(config: AnyConfig, folder: RunFolder) -> Run:
    """The run of a config."""
    name = {"control": "ControlRun", "language": "LanguageRun"}[kind_of(config)]
    return getattr(import_module(f"plaudit.pipeline.{kind_of(config)}.run"), name)(config, folder)


def _kind_of(mapping: dict[str, Any]) -> str:
    if "language" in mapping or "environment" in mapping:
        return "language" if "language" in mapping else "control"
    meant = [get_close_matches(str(key), ("language", "environment"), 1, 0.7) for key in mapping]
    spoken = ["language"] in meant or any(name in mapping for name in OF_LANGUAGE)
    return "language" if spoken and ["environment"] not in meant else "control"


def _configs(kind: str) -> Any:
    return import_module(f"plaudit.pipeline.{kind}.config")
