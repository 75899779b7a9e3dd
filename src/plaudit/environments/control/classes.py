"""Environments that nobody has registered: a class, or a function that makes one, in a module or in a file.

The place is the name: `module:Env` or `path/to/file.py:Env`. Whoever has it, another process or a later day, finds the
same environment by it, so nothing is entered in Gymnasium's registry.
"""

import hashlib
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from plaudit import python_files
from plaudit.errors import PlauditError

_FILES: dict[tuple[str, int, int], ModuleType] = {}
"""The modules of files, by path and by when and how long they were written."""


def from_file(place: str) -> EnvSpec:
    """The environment at `path/to/file.py:Env`. PlauditError where there is none."""
    file, name = (place, "") if place.endswith(".py") else place.rpartition(":")[::2]
    module = _executed(Path(file).expanduser(), place)
    found = getattr(module, name, None) if name else None
    if found is None:
        there = names_in(module)
        near = get_close_matches(name, there, 1, 0.4) or there
        hint = f"give {file}:{near[0]}" if near else "write a subclass of gymnasium.Env there"
        lacks = f"`{name}` is not in {file}" if name else "which class of the file is meant is not said"
        raise PlauditError(f"environment.id: {lacks}; {hint}")
    return _spec(found, name, place)


def from_module(module: ModuleType, name: str) -> EnvSpec | None:
    """The environment of that name in a module; none where it holds nothing of that name."""
    if not hasattr(module, name):
        return None
    return _spec(getattr(module, name), name, f"{module.__name__}:{name}")


def imported(name: str, place: str) -> ModuleType:
    """A module by its name. PlauditError where there is none, or where importing it raises."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        mine = Path(f"{name}.py").is_file()
        mend = (
            f"give the file: ./{name}.py:{place.rpartition(':')[2]}"
            if mine
            else "install it or correct the id"
        )
        raise PlauditError(
            f"environment.id: the module of {place!r} cannot be imported ({error}); {mend}"
        ) from None
    except (Exception, SystemExit) as error:
        raise PlauditError(f"environment.id: importing {name} raised {_told(error)}; mend it") from error


def _executed(path: Path, place: str) -> ModuleType:
    if not path.is_file():
        raise PlauditError(
            f"environment.id: there is no file {str(path)!r}; give an environment as path/to/file.py:Env"
        )
    status, where = path.stat(), str(path.resolve())
    state = (where, status.st_mtime_ns, status.st_size)
    if state not in _FILES:
        digest = hashlib.sha256(where.encode()).hexdigest()[:8]
        try:
            _FILES[state] = python_files.execute(path, f"plaudit_environment_{path.stem}_{digest}")
        except (Exception, SystemExit) as error:
            raise PlauditError(
                f"environment.id: importing {path} raised {_told(error)}; mend the file"
            ) from error
    return _FILES[state]


def names_in(module: ModuleType) -> list[str]:
    """The classes of environments that a module defines itself."""
    return sorted(
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, gymnasium.Env)
        and value.__module__ == module.__name__
    )


def _spec(found: object, name: str, place: str) -> EnvSpec:
    if isinstance(found, type):
        if not issubclass(found, gymnasium.Env):
            raise _no_environment(place, "is a class, but no gymnasium.Env")
        return EnvSpec(id=name, entry_point=found)
    if not callable(found):
        raise _no_environment(place, f"is of the kind {type(found).__name__}")
    return EnvSpec(id=name, entry_point=_checked(found, place))


def _checked(function: Callable[..., Any], place: str) -> Callable[..., gymnasium.Env]:
    def made(**kwargs: object) -> gymnasium.Env:
        env = function(**kwargs)
        if not isinstance(env, gymnasium.Env):
            raise _no_environment(place, f"returns what is of the kind {type(env).__name__}")
        return env

    return made


def _no_environment(place: str, what: str) -> PlauditError:
    return PlauditError(
        f"environment.id: {place} {what}; give a subclass of gymnasium.Env or a function that returns one"
    )


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
