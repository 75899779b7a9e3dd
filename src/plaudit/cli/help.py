"""The help of a command: every flag with what it means, its range and its default, in boxes as wide as the screen."""

from collections.abc import Iterator
from dataclasses import MISSING, is_dataclass

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from plaudit import declared
from plaudit.cli import flags
from plaudit.cli.flags import Command, Flag
from plaudit.runs.settings import kind_of, members


def show(command: Command) -> None:
    """Print the help of a command."""
    console = Console(highlight=False, markup=False)
    with console.capture() as drawn:
        _draw(command, console)
    print(drawn.get(), end="")  # not by the console, which ends the process where nobody listens


def _draw(command: Command, console: Console) -> None:
    console.print(Text(_usage(command)))
    for paragraph in filter(None, command.description.split("\n\n")):
        console.print()
        console.print(Text(" ".join(paragraph.split())))
    console.print()
    every = [flag for group in command.groups for flag in group.flags]
    panels = [_panel("arguments", "", [flag for flag in every if flag.by_position])]
    for group in command.groups:
        listed = [flag for flag in group.flags if not flag.by_position]
        panels.append(_panel(f"{group.title} options".strip(), group.meaning, listed))
    console.print(*filter(None, panels), Text("-h, --help shows this."), sep="\n")


def _usage(command: Command) -> str:
    places = [flag for group in command.groups for flag in group.flags if flag.by_position]
    words = [
        f"[{flags.called(flag)}]" if flag.default is not MISSING else flags.called(flag) for flag in places
    ]
    return " ".join(["usage: plaudit", command.name, *filter(None, [command.before]), *words, "[OPTIONS]"])


def _panel(title: str, meaning: str, listed: list[Flag]) -> Panel | None:
    if not listed:
        return None
    said = [Text(meaning)] if meaning else []
    return Panel(Group(*said, *_rows(listed)), title=title, title_align="left", padding=(0, 1))


def _rows(listed: list[Flag]) -> Iterator[Text | Padding]:
    for flag in listed:
        name = flags.called(flag) if flag.by_position else f"{flag.name} {flag.metavar}"
        yield Text(name, style="bold")
        yield Padding(Text(f"{flag.meaning} ({_limits(flag)})".strip()), (0, 0, 0, 6))


def _limits(flag: Flag) -> str:
    """The range, and the default or that there is none."""
    range_ = declared.limits(flag.schema)
    default = "required" if flag.default is MISSING else f"default: {_written(flag.default, flag)}"
    return f"{range_}; {default}" if range_ else default


def _written(value: object, flag: Flag) -> str:
    """A default as somebody would give it."""
    if is_dataclass(value) and not isinstance(value, type) and members(flag.schema):
        return kind_of(type(value))
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "nothing"
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items()) or "nothing"
    return str(value)
