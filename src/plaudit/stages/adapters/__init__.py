"""What differs between media, stage by stage; the stages know nothing else of them.

A further medium is one module here (beside its environment and its reward), named after the kind of environment.
"""

from importlib import import_module
from types import ModuleType

from plaudit.runs.config import RunConfig


def adapter(medium: str) -> ModuleType:
    """The module of a medium, imported when it is asked for: a machine for language needs no environments."""
    return import_module(f"plaudit.stages.adapters.{medium}")


def adapter_of(config: RunConfig) -> ModuleType:
    """The module of a config's medium."""
    return adapter(config.medium)
