"""Command lines from frozen dataclasses: a config's fields are its flags, their docstrings the help."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import yaml

from plaudit.cli.flags import Command, groups, parse, read
from plaudit.declared import Dataclass
from plaudit.errors import PlauditError
from plaudit.runs import config as configs
from plaudit.runs import old_names, settings
from plaudit.runs.config import RunConfig

__all__ = ["override", "parse", "parse_with", "sound", "take", "whole"]

Parsed = TypeVar("Parsed", bound=Dataclass)
SHORT = {"--env": "--environment.id", "--envs": "--environment.envs", "--prompts": "--environment.prompts"}
"""Flags that are written often."""
LISTS = ("--feedback.people",)
"""Flags of lists that no flag can say item by item: what is given is YAML, such as [] for nobody."""


def parse_with(default: Parsed, argv: Sequence[str], command: str, description: str) -> Parsed:
    """A dataclass from flags that change a given one, and from `--set FIELD=YAML`.

    `command` is its name, and after it what stands before the flags: `reward FILE ...`.
    """

    def build(tree: dict[str, object]) -> Parsed:
        return settings.build(type(default), tree, "")

    flags, sets = _split_sets([_short(argument) for argument in argv])
    default = _set(default, sets, build)
    name, _, before = command.partition(" ")
    shown = Command(name, description, tuple(groups(type(default), default)), before)
    return read(shown, flags, settings.dump(default), build)


def override(config: RunConfig, argv: Sequence[str], command: str, description: str) -> RunConfig:
    """A run config changed by flags, and by `--set FIELD=YAML` for what a flag cannot say (a list of people)."""
    flags, sets = _split_sets([_short(argument) for argument in argv])
    config, flags = _algorithm(config, flags)
    config = _set(config, sets, configs.parse)
    shown = Command(command, description, tuple(groups(type(config), config)))
    return configs.validate(read(shown, flags, settings.dump(config), configs.parse))


def take(argv: Sequence[str], name: str, default: str | None = None) -> tuple[str | None, list[str]]:
    """The value of `--name VALUE` or `--name=VALUE`, and the arguments without it."""
    rest, value, items = [], default, iter(argv)
    for item in items:
        if item == f"--{name}":
            value = next(items, None)
            if value is None:
                raise PlauditError(f"--{name} needs a value")
        elif item.startswith(f"--{name}="):
            value = item.partition("=")[2]
        else:
            rest.append(item)
    return value, rest


def whole(value: str | None, name: str) -> int:
    """A positive whole number from a flag."""
    if value is None or not value.isdigit() or int(value) < 1:
        raise PlauditError(f"--{name}: {value!r} is not a whole number above 0")
    return int(value)


def sound(text: str, otherwise: str) -> str:
    """The text, where it is one; PlauditError with these words where it is not.

    Python lets other bytes of a command line, and in some locales of standard input, through as half characters.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PlauditError(otherwise) from None
    return text


def _algorithm(config: RunConfig, flags: list[str]) -> tuple[RunConfig, list[str]]:
    """The config with the algorithm of a flag, and that algorithm's own settings; the flags without it."""
    name, rest = take(flags, "algorithm")
    if name is None or name == config.algorithm:
        return config, rest
    tree: dict[str, Any] = {**settings.dump(config), "algorithm": name}
    asked = {key: value for key, value in tree["environment"].items() if (key, value) not in UNGROUPED}
    kept = {key: value for key, value in tree.items() if key not in ("settings", "trainer")}
    return configs.parse(kept | {"environment": asked}), rest


UNGROUPED = (("group", 1), ("num_generations", 1))
"""Of an environment, what another algorithm may have otherwise."""


def _short(argument: str) -> str:
    """The flag that is meant by one that is written often."""
    for short, long in SHORT.items():
        if argument == short or argument.startswith(short + "="):
            return long + argument[len(short) :]
    return argument


def _split_sets(argv: list[str]) -> tuple[list[str], list[str]]:
    """The arguments without `--set`, and every value it was given."""
    rest, sets, items = [], [], iter(_lists_as_sets(argv))
    for item in items:
        if item != "--set" and not item.startswith("--set="):
            rest.append(item)
            continue
        value = next(items, None) if item == "--set" else item.partition("=")[2]
        if value is None:
            raise PlauditError("--set needs a value: FIELD=VALUE")
        sets.append(value)
    return rest, sets


def _lists_as_sets(argv: list[str]) -> list[str]:
    """The arguments with `--feedback.people []` as `--set feedback.people=[]`."""
    found, items = [], iter(argv)
    for item in items:
        name, equals, text = item.partition("=")
        if name not in LISTS:
            found.append(item)
            continue
        text = text if equals else next(items, "")
        if not text:
            raise PlauditError(f"{name} needs a value: [] waits for real people")
        found.append(f"--set={name.removeprefix('--')}={text}")
    return found


def _set(config: Parsed, sets: list[str], build: Callable[[dict[str, object]], Parsed]) -> Parsed:
    """The config with `FIELD=YAML` for what a flag cannot say, such as a list of people."""
    if not sets:
        return config
    tree: dict[str, Any] = settings.dump(config)
    for item in sets:
        path, equals, text = item.partition("=")
        if not equals:
            raise PlauditError(f"--set {item}: give FIELD=VALUE, such as --set settings.constraint=stop_at")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise PlauditError(f"--set {item}: not valid YAML ({' '.join(str(error).split())})") from None
        for place, part in old_names.setting(path, value).items():
            if not _put(tree, place.split("."), part):
                raise PlauditError(f"--set {item}: there is no field {path!r}")
    try:
        return build(tree)
    except PlauditError as error:
        raise PlauditError(f"--set: {error}") from None


def _put(tree: dict[str, Any], path: list[str], value: object) -> bool:
    """Put a value at a path of the tree; false where there is no such place."""
    *parents, last = path
    node: Any = tree
    for parent in parents:
        if isinstance(node, dict) and parent in node and node[parent] is None:
            node[parent] = {}  # a part that is left out unless asked for, such as policy.lora
        node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            return False
    node[last] = value
    return True
