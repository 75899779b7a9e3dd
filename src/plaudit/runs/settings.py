"""Settings from mappings and back: frozen dataclasses are the schema; an unknown key suggests the nearest one."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from plaudit.errors import PlauditError

WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
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


def build(schema: Any, value: Any, where: str) -> Any:
    """A value of the annotated type `schema` from plain YAML data; `where` names the field in errors."""
    origin = get_origin(schema)
    if schema is Any:
        return value
    if is_dataclass(schema):
        return _dataclass(schema, value, where)
    if origin in (Union, types.UnionType):
        return _union(get_args(schema), value, where)
    if origin is Literal:
        if value not in get_args(schema):
            raise _wrong(where, value, "one of " + ", ".join(map(str, get_args(schema))))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(where, value, "a list")
        return tuple(build(get_args(schema)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong(where, value, "a mapping")
        return {key: build(get_args(schema)[1], item, f"{where}.{key}") for key, item in value.items()}
    return _plain(schema, value, where)


def dump(settings: Any) -> dict[str, Any]:
    """A frozen dataclass as plain YAML data that `build` reads back; members of a union carry their kind."""
    return {field.name: _dump(getattr(settings, field.name)) for field in fields(settings)}


def kind_of(cls: type) -> str:
    """The name of a union's member in YAML: MonteCarlo -> monte_carlo, GAE -> gae."""
    name = cls.__name__
    parts = [f"_{c}" if c.isupper() and i and not name[i - 1].isupper() else c for i, c in enumerate(name)]
    return "".join(parts).lower()


def _dump(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {"kind": kind_of(type(value))} | dump(value)
    if isinstance(value, tuple):
        return [_dump(item) for item in value]
    if isinstance(value, dict):
        return {key: _dump(item) for key, item in value.items()}
    return value


def _dataclass(schema: Any, value: Any, where: str) -> Any:
    if is_dataclass(value):
        return value
    if not isinstance(value, Mapping):
        raise _wrong(where, value, "a mapping of fields")
    hints = get_type_hints(schema)
    known = {field.name for field in fields(schema)}
    given = {key: item for key, item in value.items() if key != "kind" or "kind" in known}
    for key in given:
        if key not in known:
            near = get_close_matches(str(key), known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known fields: {', '.join(sorted(known))}"
            raise PlauditError(f"{_join(where, key)}: unknown field; {hint}")
    for field in fields(schema):
        if field.default is MISSING and field.default_factory is MISSING and field.name not in given:
            raise PlauditError(f"{_join(where, field.name)}: this field is missing; add it to the config")
    return schema(**{key: build(hints[key], item, _join(where, key)) for key, item in given.items()})


def _union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    members: dict[str, Any] = {
        kind_of(option): option for option in options if isinstance(option, type) and is_dataclass(option)
    }
    if not members:
        for option in options:
            try:
                return build(option, value, where)
            except PlauditError:
                continue
        raise _wrong(where, value, " or ".join(getattr(o, "__name__", str(o)) for o in options))
    kind = value if isinstance(value, str) else value.get("kind") if isinstance(value, Mapping) else None
    if is_dataclass(value):
        return value
    if len(members) == 1 and kind is None and isinstance(value, Mapping):
        return _dataclass(next(iter(members.values())), value, where)
    if not isinstance(kind, str) or kind not in members:
        raise _wrong(where, value, f"one of {', '.join(sorted(members))} (as `kind`)")
    return _dataclass(members[kind], {} if isinstance(value, str) else value, where)


def _plain(schema: Any, value: Any, where: str) -> Any:
    if schema in (int, float) and isinstance(value, int | float | str) and not isinstance(value, bool):
        return _number(schema, value, where)
    if isinstance(schema, type) and (
        not isinstance(value, schema) or (schema is int and isinstance(value, bool))
    ):
        raise _wrong(where, value, WORDS.get(schema, schema.__name__))
    return value


def _number(schema: Any, value: int | float | str, where: str) -> Any:
    """YAML reads 1e-3 as a text, and 1e5 as one where a whole number is wanted."""
    try:
        if schema is int and isinstance(value, int):
            return value
        number = float(value)
        if schema is float or number.is_integer():
            return schema(number)
    except (ValueError, OverflowError):
        pass
    raise _wrong(where, value, WORDS[schema])


def _join(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _wrong(where: str, value: Any, wanted: str) -> PlauditError:
    return PlauditError(f"{where}: {value!r} is not {wanted}; change this field")
