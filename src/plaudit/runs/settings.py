"""Settings from mappings and back: frozen dataclasses are the schema, with the range of a number beside its field.

One conversion serves config files and the command line: a text that should be a number or a truth is read as one. An
unknown key suggests the nearest one, and every mistake is a sentence that names its field.
"""

import ast
import inspect
import textwrap
import types
import warnings
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
import yaml

from plaudit import declared
from plaudit.declared import Dataclass
from plaudit.errors import PlauditError, Renamed

WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
    types.NoneType: "none",
}
TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
"""Truths as YAML writes them."""


class WrongValue(PlauditError):
    """A value that is not of the kind its field wants."""

    def __init__(self, where: str, fault: str):
        super().__init__(where, fault)  # what a process needs to make it again from another's
        self.where, self.fault = where, fault

    def __str__(self) -> str:
        """The sentence."""
        return f"{self.where}: {self.fault}; change this field"


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. PlauditError where it is none, or where a key stands in it twice."""
    try:
        text = path.read_text(encoding="utf-8")
        for fault in _twice(yaml.compose(text, yaml.SafeLoader)):
            raise PlauditError(f"{path}, {fault}")
        content = yaml.safe_load(text)
    except FileNotFoundError:
        raise PlauditError(f"{path}: no such file; give the path of a YAML config") from None
    except OSError as error:
        raise PlauditError(
            f"{path}: cannot be read ({error.strerror}); give the path of a YAML config"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlauditError(
            f"{path}: not valid YAML ({' '.join(str(error).split())}); mend the file"
        ) from None
    if not isinstance(content, dict):
        raise PlauditError(f"{path}: a config is a mapping of names to values, not {type(content).__name__}")
    return content


def renamed(mapping: Mapping[str, object], table: Mapping[str, str]) -> dict[str, Any]:
    """The mapping with old keys under their new names, by a table of dotted paths, and a note for each.

    PlauditError where both names are given.
    """
    tree = _copied(mapping)
    for old, new in table.items():
        before, after = old.split("."), new.split(".")
        same = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
        for node in _below(tree, before[:same]):
            found = _taken(node, before[same:])
            if not found:
                continue
            if not _put(node, after[same:], found[0]):
                raise PlauditError(f"{old}: is called {new} now, and both are given; leave {old} out")
            _note(old, new)
    return tree


def build(schema: object, value: object, where: str) -> Any:
    """A value of the annotated type `schema` from plain data; `where` names the field in errors."""
    bare = declared.bare(schema)
    origin = get_origin(bare)
    if bare is Any:
        return value
    if is_dataclass(bare) and isinstance(bare, type):
        return _dataclass(bare, value, where)
    if origin in (Union, types.UnionType):
        return _union(bare, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise WrongValue(where, f"{value!r} is not a list")
        return tuple(build(get_args(bare)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise WrongValue(where, f"{value!r} is not a mapping")
        for key in value:
            _known_key(get_args(bare)[0], key, where)
        return {key: build(get_args(bare)[1], item, f"{where}.{key}") for key, item in value.items()}
    return _leaf(schema, value, where)


def validate(config: Dataclass, where: str = "") -> None:
    """Raise PlauditError for the first number of a config made in Python that is out of its range."""
    for name, schema in declared.hints(type(config)).items():
        _validate(schema, getattr(config, name), _join(where, name))


def dump(settings: Dataclass) -> dict[str, Any]:
    """A frozen dataclass as plain YAML data that `build` reads back; members of a union carry their kind."""
    return {field.name: plain(getattr(settings, field.name)) for field in fields(settings)}


def plain(value: object) -> Any:
    """The value of a field as plain YAML data."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"kind": kind_of(type(value))} | dump(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def kind_of(cls: type) -> str:
    """The name of a union's member in YAML: MonteCarlo -> monte_carlo, GAE -> gae."""
    name = cls.__name__
    parts = [f"_{c}" if c.isupper() and i and not name[i - 1].isupper() else c for i, c in enumerate(name)]
    return "".join(parts).lower()


def members(schema: object) -> dict[str, type]:
    """The dataclasses among which a field chooses, by their kinds; empty where it holds none."""
    bare = declared.bare(schema)
    options = get_args(bare) if get_origin(bare) in (Union, types.UnionType) else (bare,)
    return {kind_of(one): one for one in options if isinstance(one, type) and is_dataclass(one)}


@cache
def meanings(schema: type) -> dict[str, str]:
    """What the string below each field of a dataclass says, by the field's name."""
    found: dict[str, str] = {}
    for cls in reversed(schema.__mro__):
        if not is_dataclass(cls):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                said = text.value.value if isinstance(text.value, ast.Constant) else None
                if isinstance(said, str):
                    found[ast.unparse(field.target)] = " ".join(said.split())
    return found


def _dataclass(schema: type, value: object, where: str) -> Any:
    if is_dataclass(value):
        return value
    if not isinstance(value, Mapping):
        raise WrongValue(where, f"{value!r} is not a mapping of fields")
    hints = declared.hints(schema)
    given = {key: item for key, item in value.items() if key != "kind" or "kind" in hints}
    for key in given:
        if key not in hints:
            near = get_close_matches(str(key), hints, 1, 0.5)
            known = f"known fields: {', '.join(sorted(hints))}" if hints else "there are no fields here"
            hint = f"did you mean {near[0]!r}?" if near else known
            raise PlauditError(f"{_join(where, key)}: unknown field; {hint}")
    for field in fields(schema):
        if field.default is MISSING and field.default_factory is MISSING and field.name not in given:
            raise PlauditError(f"{_join(where, field.name)}: this field is missing; add it to the config")
    return schema(**{key: build(hints[key], item, _join(where, key)) for key, item in given.items()})


def _known_key(schema: object, key: object, where: str) -> None:
    """Raise PlauditError for a key of a mapping that has a few words for its keys and not this one."""
    known = [str(one) for one in get_args(schema)] if get_origin(schema) is Literal else None
    if known is not None and key not in known:
        near = get_close_matches(str(key), known, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise PlauditError(f"{_join(where, key)}: unknown; {hint}")


def _union(schema: object, value: object, where: str) -> Any:
    options, kinds = get_args(schema), members(schema)
    if value is None and types.NoneType in options:
        return None
    others = [option for option in options if option is not types.NoneType]
    if not kinds:
        return build(others[0], value, where) if len(others) == 1 else _leaf(schema, value, where)
    kind = value if isinstance(value, str) else value.get("kind") if isinstance(value, Mapping) else None
    if is_dataclass(value):
        return value
    if len(kinds) == 1 and kind is None and isinstance(value, Mapping):
        return _dataclass(next(iter(kinds.values())), value, where)
    if not isinstance(kind, str) or kind not in kinds:
        raise WrongValue(where, f"{value!r} is not one of {', '.join(sorted(kinds))} (as `kind`)")
    return _dataclass(kinds[kind], {} if isinstance(value, str) else value, where)


def _leaf(schema: object, value: object, where: str) -> Any:
    """A number, text, truth, path or word of a list, within its range."""
    options = [declared.bare(one) for one in _options(schema)]
    try:
        found = msgspec.convert(_read(value, options), reduce(or_, options), dec_hook=_hook)
    except (msgspec.ValidationError, OverflowError):
        wanted = " or ".join(_word(option) for option in options)
        raise WrongValue(where, f"{value!r} is not {wanted}") from None
    _validate(schema, found, where)
    return found


def _options(schema: object) -> tuple[Any, ...]:
    bare = declared.bare(schema)
    return get_args(bare) if get_origin(bare) in (Union, types.UnionType) else (schema,)


def _read(value: object, options: list[object]) -> object:
    """A text as the number or truth that is wanted: YAML reads 1e-3 as a text, and a command line gives nothing else.
    A number without a fraction, such as 1e5, is whole."""
    if isinstance(value, str) and str not in options:
        if bool in options and value.lower() in TRUTHS:
            return TRUTHS[value.lower()]
        if int in options or float in options:
            value = _number(value)
    if int in options and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _number(text: str) -> object:
    """The number in a text, to the last digit; the text itself where there is none."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _hook(kind: type, value: object) -> object:
    if isinstance(value, kind):
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"{value!r} is not {_word(kind)}")


def _word(option: object) -> str:
    if get_origin(option) is Literal:
        return "one of " + ", ".join(map(str, get_args(option)))
    return WORDS.get(option, getattr(option, "__name__", str(option)))


def _validate(schema: object, value: object, where: str) -> None:
    if is_dataclass(value) and not isinstance(value, type):
        validate(value, where)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _validate(_item(schema), item, f"{where}[{i}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _validate(_item(schema), item, _join(where, key))
    elif wrong := declared.fault(schema, value):
        raise PlauditError(f"{where}: {wrong}; change this field")


def _item(schema: object) -> Any:
    """What a list or a mapping of this type holds."""
    for option in _options(schema):
        if get_origin(declared.bare(option)) in (tuple, dict):
            return [one for one in get_args(declared.bare(option)) if one is not Ellipsis][-1]
    return Any


def _twice(root: yaml.Node | None) -> Iterator[str]:
    """Where a key stands in a mapping for the second time; the library would take the last one."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode) and id(node) not in seen:
            waiting += node.value[::-1]
        if isinstance(node, yaml.MappingNode) and id(node) not in seen:
            first: dict[Hashable, int] = {}
            for key, value in node.value:
                name, line = (key.tag, key.value), key.start_mark.line + 1
                waiting += [value]
                if isinstance(key, yaml.ScalarNode) and name in first:
                    yield f"line {line}: {key.value} is in line {first[name]} already; keep one of them"
                first[name] = line
        seen.add(id(node))


def _copied(tree: object) -> Any:
    if isinstance(tree, Mapping):
        return {key: _copied(value) for key, value in tree.items()}
    return [_copied(value) for value in tree] if isinstance(tree, list | tuple) else tree


def _below(tree: object, path: list[str]) -> list[dict[str, object]]:
    """The mappings at a path; a list on the way stands for all that it holds."""
    if isinstance(tree, list):
        return [node for item in tree for node in _below(item, path)]
    if not isinstance(tree, dict):
        return []
    return _below(tree.get(path[0]), path[1:]) if path else [tree]


def _taken(tree: dict[str, object], path: list[str]) -> list[object]:
    """The value at a path, taken out of the tree; nothing where it is not there."""
    first, *rest = path
    if not rest:
        return [tree.pop(first)] if first in tree else []
    below = tree.get(first)
    return _taken(below, rest) if isinstance(below, dict) else []


def _put(tree: dict[str, object], path: list[str], value: object) -> bool:
    """Put a value at a path; false where something is there."""
    *parents, last = path
    for name in parents:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):
            return False
        tree = below
    if last in tree:
        return False
    tree[last] = value
    return True


@cache
def _note(old: str, new: str) -> None:
    """Once per key and process."""
    warnings.warn(f"config key {old} is called {new} now", Renamed, stacklevel=4)


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
