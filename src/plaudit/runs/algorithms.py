"""Finding algorithms: every file in plaudit.algorithms, or a Python file of your own."""

import importlib
import importlib.util
import pkgutil
from dataclasses import is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from plaudit.batches import Needs
from plaudit.errors import PlauditError
from plaudit.python_files import execute

KINDS: dict[str, tuple[str, ...]] = {
    "on_policy": ("Config", "needs", "advantages", "loss"),
    "preference": ("Config", "needs", "loss"),
    "imitation": ("Config", "loss"),
    "evolution": ("Config", "ask", "tell"),
}
"""By kind, what an algorithm's file has."""
SAY_NEEDS = "; say what it needs with `def needs(config): return Needs()`, of plaudit.batches"
"""How a file of before, whose needs were guessed, is mended."""


def names(kind: str) -> list[str]:
    """The algorithms of one kind, such as on_policy."""
    package = importlib.import_module(f"plaudit.algorithms.{kind}")
    return sorted(
        info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_")
    )


def known() -> list[str]:
    """Every algorithm of the package by name."""
    return sorted(name for kind in KINDS for name in names(kind))


def find(name: str) -> ModuleType:
    """The module of a name, or of a path to a Python file outside the package."""
    if name.endswith(".py"):
        return _from_file(Path(name))
    for kind in KINDS:
        if name in names(kind):
            return importlib.import_module(f"plaudit.algorithms.{kind}.{name}")
    near = get_close_matches(name, known(), 1, 0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known())}"
    raise PlauditError(f"algorithm {name!r} is unknown; {hint} (or give the path of a Python file)")


def kind_of(module: ModuleType) -> str:
    """on_policy, preference, imitation or evolution: by the folder, or of a file outside by what it has."""
    parts = module.__name__.split(".")
    if parts[:2] == ["plaudit", "algorithms"]:
        return parts[2]
    if hasattr(module, "ask"):
        return "evolution"
    if hasattr(module, "advantages"):
        return "on_policy"
    return "imitation" if hasattr(module, "reward") else "preference"


def needs(module: ModuleType, settings: object) -> Needs:
    """What an algorithm declares to need with these settings. PlauditError where it declares something else."""
    if not hasattr(module, "needs"):
        return Needs()
    try:
        found = module.needs(settings)
    except Exception as error:
        said = str(error) if isinstance(error, PlauditError) else f"{type(error).__name__}: {error}"
        raise PlauditError(f"{_path(module)}: `needs` raised {' '.join(said.split())}; mend it") from error
    if not isinstance(found, Needs):
        raise PlauditError(
            f"{_path(module)}: `needs` gave a {type(found).__name__}; return plaudit.batches.Needs(...)"
        )
    return found


def _path(module: ModuleType) -> str:
    return module.__file__ or module.__name__


_FILES: dict[tuple[str, int, int], ModuleType] = {}
"""The modules of files, by path and by when and how long they were written."""


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PlauditError(f"{path}: no such file; give the path of a Python file with {_parts('on_policy')}")
    status = path.stat()
    state = (str(path.resolve()), status.st_mtime_ns, status.st_size)
    if state in _FILES:  # once: what its settings are made of must be the classes that its loss knows
        return _FILES[state]
    name = f"plaudit_extra_{path.stem}_{abs(hash(str(path.resolve()))):x}"
    try:
        module = execute(path, name)
    except Exception as error:
        raise PlauditError(
            f"{path}: importing it raised {type(error).__name__}: {' '.join(str(error).split())}; mend the file"
        ) from error
    kind = kind_of(module)
    missing = [name for name in KINDS[kind] if not hasattr(module, name)]
    if missing:
        mend = SAY_NEEDS if missing[0] == "needs" else ""
        raise PlauditError(
            f"{path}: `{missing[0]}` is missing; an algorithm of the kind {kind} has {_parts(kind)}{mend}"
        )
    if not (isinstance(module.Config, type) and is_dataclass(module.Config)):
        raise PlauditError(
            f"{path}: `Config` is not a frozen dataclass; make it one, its fields become flags"
        )
    _FILES[state] = module
    return module


def _parts(kind: str) -> str:
    return ", ".join(KINDS[kind])
