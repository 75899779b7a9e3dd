"""Command lines from frozen dataclasses, for commands that must start fast: nothing heavy is imported here.

The fields of a dataclass are the flags, those of a dataclass in it too (`--trainer.epochs 4`). Every value arrives as a
text and is converted as that of a config file is; the names are checked before, so that a mistake is one sentence.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml

from plaudit import declared
from plaudit.declared import Dataclass
from plaudit.errors import PlauditError
from plaudit.runs import old_names, settings

Parsed = TypeVar("Parsed", bound=Dataclass)
T = TypeVar("T")

BY_POSITION = "given by its position"
Positional = Annotated[T, BY_POSITION]
"""A field that is given by its place in the command line, not by a flag: `run: Positional[Path]`."""

METAVARS = {int: "INT", float: "FLOAT", str: "STR", bool: "[true|false]", Path: "PATH"}
NOTHING = ("none", "null")
"""What stands for no value, in small letters or large ones."""


class Misused(PlauditError):
    """A command line that cannot be read."""

    status = 2


@dataclass(frozen=True)
class Flag:
    """A field that a command line can give."""

    path: tuple[str, ...]
    schema: object
    default: object
    """What it is unless given; `MISSING` where it must be."""
    meaning: str
    kinds: tuple[str, ...] = ()
    """The members of a union that have this field; empty: it is there always."""

    @property
    def name(self) -> str:
        """As it is written: --trainer.learning-rate."""
        return "--" + ".".join(self.path).replace("_", "-")

    @property
    def by_position(self) -> bool:
        """Whether it has no flag."""
        return BY_POSITION in getattr(self.schema, "__metadata__", ())

    @property
    def options(self) -> list[object]:
        """The types it may have, none left out."""
        bare = declared.bare(self.schema)
        parts = [bare] if get_origin(bare) in (tuple, dict, Literal, None) else list(get_args(bare))
        return [declared.bare(one) for one in parts if one is not type(None)]

    @property
    def optional(self) -> bool:
        """Whether it may be none."""
        return type(None) in get_args(declared.bare(self.schema))

    @property
    def several(self) -> bool:
        """Whether it takes as many values as are given."""
        return any(get_origin(one) in (tuple, dict) for one in self.options)

    @property
    def metavar(self) -> str:
        """What kind of value it takes."""
        if members := settings.members(self.schema):
            return "{" + "|".join(["none"] * self.optional + sorted(members)) + "}"
        return "none|" * self.optional + "|".join(map(_metavar, self.options))


Given = tuple[Flag, str | bool | list[str]]
"""A field with the text, truth or texts given for it."""


@dataclass(frozen=True)
class Group:
    """Flags that stand together in the help."""

    title: str
    meaning: str
    flags: list[Flag]


def parse(schema: type[Parsed], argv: Sequence[str], command: str, description: str) -> Parsed:
    """A dataclass from flags; a truth is a flag without a value, or with `no-` before its name."""
    usual = {field.name: settings.plain(_default(field, None)) for field in fields(schema)}
    tree = {name: value for name, value in usual.items() if value is not MISSING}
    shown = Command(command, description, tuple(groups(schema)))
    return read(shown, argv, tree, lambda given: settings.build(schema, given, ""))


@dataclass(frozen=True)
class Command:
    """What a command line may say."""

    name: str
    description: str
    groups: tuple[Group, ...]
    before: str = ""
    """What comes before the flags and is not one of them, such as FILE."""

    def misused(self, fault: str) -> Misused:
        """The error for a command line that cannot be read."""
        return Misused(f"{self.name}: {fault}; see plaudit {self.name} --help")


def read(
    command: Command,
    argv: Sequence[str],
    tree: dict[str, object],
    build: Callable[[dict[str, object]], Parsed],
) -> Parsed:
    """What is built of plain data with the values of a command line in it; `Misused`, in one sentence, where it cannot
    be read. `--help` shows what there is, and ends the process."""
    if any(item in ("-h", "--help") for item in argv):
        from plaudit.cli.help import show  # draws, which takes time to import

        show(command)
        raise SystemExit(0)
    given = list(_split(command, argv))
    _all_there(command, tree, given)
    for flag, value in sorted(given, key=lambda one: len(one[0].path)):  # the kind before what it holds
        _place(command, tree, flag, value)
    try:
        return build(tree)
    except settings.WrongValue as error:
        for flag, _ in given:
            if error.where.partition("[")[0] == _where(flag.path):
                raise command.misused(f"{called(flag)}: {error.fault}") from None
        raise


def groups(schema: type, default: object = None) -> Iterator[Group]:
    """The flags of a dataclass: those of its own fields, then those of each dataclass in it."""
    return _groups(schema, default, Place((), "", "", ()))


def called(flag: Flag) -> str:
    """How people know a field: by its flag, or by the kind of what stands in its place."""
    return flag.metavar.removeprefix("none|") if flag.by_position else flag.name


@dataclass(frozen=True)
class Place:
    """Where a dataclass stands in a config."""

    path: tuple[str, ...]
    title: str
    meaning: str
    kinds: tuple[str, ...]
    """Where it is a member of a union: its kind."""


def _groups(schema: type, default: object, place: Place) -> Iterator[Group]:
    """`default` is an instance, or none: then the fields' own defaults hold."""
    own: list[Flag] = []
    below: list[Group] = []
    meanings = settings.meanings(schema)
    for field in fields(schema):
        hint, value = declared.hints(schema)[field.name], _default(field, default)
        flag = Flag((*place.path, field.name), hint, value, meanings.get(field.name, ""), place.kinds)
        if hint is Any and is_dataclass(value):  # the Config of an algorithm
            hint = type(value)
        if members := settings.members(hint):
            own += [flag] if len(members) > 1 or flag.optional else []
            for kind, member in members.items():
                held = value if isinstance(value, member) else None
                below += _groups(member, held, _inner(flag, kind, member, len(members)))
        elif hint is not Any:
            own += _entries(flag)
            below += _listed(flag)
    if own:
        yield Group(place.title, place.meaning, own)
    yield from below


def _inner(flag: Flag, kind: str, member: type, choices: int) -> Place:
    """The place of one of the dataclasses that a field may hold."""
    if choices == 1 and not flag.optional:
        return Place(flag.path, _where(flag.path), flag.meaning, ())
    meaning = f"{flag.meaning} {kind}: {_first(member)}"
    return Place(flag.path, f"{_where(flag.path)} {kind}", meaning, (kind,) if choices > 1 else ())


def _entries(flag: Flag) -> Iterator[Flag]:
    """A field; of a mapping, each of its entries too; of a list of dataclasses, none: they are groups."""
    items = get_args(declared.bare(flag.schema))
    if items and settings.members(items[0]):
        return
    yield flag
    if isinstance(flag.default, dict):
        for key, value in flag.default.items():
            yield _entry(flag, key, value)


def _entry(flag: Flag, key: str, value: object) -> Flag:
    return Flag((*flag.path, key), get_args(flag.options[0])[1], value, f"`{key}` alone.")


def _listed(flag: Flag) -> Iterator[Group]:
    """Of a list of dataclasses, the fields of each that is there."""
    for i, item in enumerate(flag.default if isinstance(flag.default, tuple) else ()):
        if is_dataclass(item) and not isinstance(item, type):
            path = (*flag.path, str(i))
            yield from _groups(type(item), item, Place(path, _where(path), flag.meaning, ()))


def _split(command: Command, argv: Sequence[str]) -> Iterator[Given]:
    """Every field that is given, with its text or texts."""
    known = {flag.name: flag for group in command.groups for flag in group.flags if not flag.by_position}
    places = [flag for group in command.groups for flag in group.flags if flag.by_position]
    rest = list(argv)
    while rest:
        token = rest.pop(0)
        if token.partition("=")[0].replace("_", "-") == "--settings.kl-in-loss":
            rest += ["--settings.kl.where", "loss"]
        if not token.startswith("-") or token == "-":
            if not places:
                raise command.misused(f"{token} is unknown")
            yield places.pop(0), token
            continue
        name, equals, text = token.partition("=")
        truth = True
        flag = known.get(name.replace("_", "-")) or _within(name, known) or _of_before(name, known)
        if flag is None:
            flag, truth = _denied(name, known), False
        if flag is None:
            near = get_close_matches(name.replace("_", "-"), known, 1, 0.6)
            raise command.misused(f"{name} is unknown" + (f"; did you mean {near[0]}?" if near else ""))
        if equals and truth:
            yield flag, [text] if flag.several else text
        elif bool in flag.options:
            said = truth and rest and rest[0].lower() in settings.TRUTHS
            yield flag, rest.pop(0) if said else truth
        elif flag.several:
            count = next((i for i, item in enumerate(rest) if item.startswith("--")), len(rest))
            yield flag, rest[:count]
            del rest[:count]
        elif not rest or rest[0].startswith("--"):
            raise command.misused(f"{name} needs a value")
        else:
            yield flag, rest.pop(0)


def _within(name: str, known: dict[str, Flag]) -> Flag | None:
    """An entry of a mapping that is not there yet, such as --reward.weights.mine."""
    parent, _, key = name.rpartition(".")
    flag = known.get(parent.replace("_", "-"))
    if flag is None or not key or get_origin(flag.options[0]) is not dict:
        return None
    return _entry(flag, key, MISSING)


def _of_before(name: str, known: dict[str, Flag]) -> Flag | None:
    """The flag that an old name stands for, with a note."""
    today = old_names.flag(name.removeprefix("--"))
    flag = None if today is None else known.get("--" + today.replace("_", "-"))
    if flag is not None:
        old_names.note(name, flag.name)
    return flag


def _denied(name: str, known: dict[str, Flag]) -> Flag | None:
    """The truth that a flag such as --no-browser or --policy.no-critic denies."""
    parent, dot, last = name.removeprefix("--").replace("_", "-").rpartition(".")
    flag = known.get(f"--{parent}{dot}{last.removeprefix('no-')}") if last.startswith("no-") else None
    return flag if flag is not None and bool in flag.options else None


def _all_there(command: Command, tree: dict[str, object], given: list[Given]) -> None:
    """Is everything given that has no default?"""
    said = {flag.path for flag, _ in given}
    for flag in (flag for group in command.groups for flag in group.flags):
        if (
            flag.default is MISSING
            and len(flag.path) == 1
            and flag.path not in said
            and flag.path[0] not in tree
        ):
            raise command.misused(f"{called(flag)} is missing: {flag.meaning.rstrip('.')}")


def _place(command: Command, tree: dict[str, object], flag: Flag, given: str | bool | list[str]) -> None:
    """Put what is given where it belongs in the tree."""
    node: Any = tree
    *parents, last = flag.path
    for name in parents:
        if isinstance(node, list):
            node = node[int(name)]
            continue
        below = node.get(name)
        if below is None or isinstance(below, str):  # a part that was left out, or a kind without settings
            node[name] = below = {} if below is None else {"kind": below}
        node = below
    if flag.kinds and node.get("kind", flag.kinds[0]) not in flag.kinds:
        parent = Flag(flag.path[:-1], Any, None, "").name
        raise command.misused(f"{flag.name} belongs to another choice; give {parent} {flag.kinds[0]} as well")
    value = _value(command, flag, given)
    if isinstance(value, str) and settings.members(flag.schema):
        there = node.get(last)
        value = there if isinstance(there, dict) and there.get("kind") == value else value
    node[last] = value


def _value(command: Command, flag: Flag, given: str | bool | list[str]) -> Any:
    """A text, or texts, as plain data of which a value is built."""
    if isinstance(given, list) and get_origin(flag.options[0]) is dict:
        if wrong := next((item for item in given if "=" not in item), None):
            raise command.misused(f"{flag.name}: {wrong!r} is not NAME=VALUE")
        pairs = [item.partition("=") for item in given]
        return {key: _plain(get_args(flag.options[0])[1], text) for key, _, text in pairs}
    if isinstance(given, str) and flag.optional and given.lower() in NOTHING:
        return None
    return _plain(flag.schema, given)


def _plain(schema: object, text: object) -> object:
    return yaml.safe_load(text) if schema is Any and isinstance(text, str) else text


def _where(path: tuple[str, ...]) -> str:
    """The path as errors name it: feedback.people[0].beta."""
    return "".join(f"[{name}]" if name.isdigit() else f".{name}" for name in path).removeprefix(".")


def _default(field: Field[object], held: object) -> object:
    """The value of a field: in what is held, or else unless given."""
    if held is not None:
        return getattr(held, field.name)
    return field.default if field.default_factory is MISSING else field.default_factory()


def _first(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def _metavar(option: object) -> str:
    if get_origin(option) is Literal:
        return "{" + "|".join(map(str, get_args(option))) + "}"
    if get_origin(option) is tuple:
        return f"[{_metavar(declared.bare(get_args(option)[0]))} ...]"
    if get_origin(option) is dict:
        return "[NAME=VALUE ...]"
    return METAVARS.get(option, "VALUE")
