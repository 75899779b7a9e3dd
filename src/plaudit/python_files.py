"""Python files that people bring: an algorithm, a reward function, an environment."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def execute(path: Path, name: str) -> ModuleType:
    """The module of a file, which is known by this name from then on; whatever its import raises is raised here."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and type hints look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module
