"""Finding algorithms: every file in plaudit.algorithms, or a Python file of your own."""

import importlib
import importlib.util
import pkgutil
import sys
from dataclasses import is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from plaudit.errors import PlauditError

REQUIRED = {"on_policy": ("Config", "advantages", "loss"), "imitation": ("Config", "loss")}


def names(kind: str) -> list[str]:
    """The algorithms of one kind, such as on_policy."""
    package = importlib.import_module(f"plaudit.algorithms.{kind}")
    return sorted(
        info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_")
    )


def find(name: str, kind: str = "on_policy") -> ModuleType:
    """The module of a name, or of a path to a Python file outside the package."""
    if name.endswith(".py"):
        return _from_file(Path(name), kind)
    known = names(kind)
    if name not in known:
        near = get_close_matches(name, known, 1, 0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise PlauditError(f"algorithm {name!r} is unknown; {hint} (or give the path of a Python file)")
    return importlib.import_module(f"plaudit.algorithms.{kind}.{name}")


def _from_file(path: Path, kind: str) -> ModuleType:
    if not path.is_file():
        raise PlauditError(f"{path}: no such file; give the path of a Python file with {_needs(kind)}")
    spec = importlib.util.spec_from_file_location(f"plaudit_extra_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and type hints look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise PlauditError(
            f"{path}: importing it raised {type(error).__name__}: {' '.join(str(error).split())}; mend the file"
        ) from error
    missing = [name for name in REQUIRED[kind] if not hasattr(module, name)]
    if missing:
        raise PlauditError(f"{path}: `{missing[0]}` is missing; an algorithm of this kind has {_needs(kind)}")
    if not (isinstance(module.Config, type) and is_dataclass(module.Config)):
        raise PlauditError(
            f"{path}: `Config` is not a frozen dataclass; make it one, its fields become flags"
        )
    return module


def _needs(kind: str) -> str:
    return ", ".join(REQUIRED[kind])
