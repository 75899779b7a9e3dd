"""Command lines as values: every way to write a flag, the help, and the note about a name of before."""

import math
import os
import warnings
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from plaudit.cli import arguments
from plaudit.cli.flags import Misused, Positional, groups, parse
from plaudit.declared import Count, Probability
from plaudit.errors import Renamed
from plaudit.maths.advantage import GAE, MonteCarlo
from plaudit.maths.constraint import NoLimit, Penalty, StopAt
from plaudit.runs import config as configs

Run = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Net:
    """A network."""

    hidden: tuple[Count, ...] = (64, 64)
    """Sizes."""
    bias: bool = True
    """Add one."""


@dataclass(frozen=True)
class Whatever:
    """All kinds of fields."""

    file: Positional[Path]
    """The file."""
    other: Positional[Path | None] = None
    """Another file."""
    steps: Count = 3
    """How many."""
    share: Probability | None = None
    """How much; none: all."""
    name: str = "a b"
    """A name."""
    way: Literal["up", "all the way down"] = "up"
    """Where to."""
    loud: bool = False
    """Say more."""
    net: Net = Net()
    """The network."""
    trace: GAE | MonteCarlo = GAE()
    """The estimate."""
    second: Net | None = None
    """Another network."""
    weights: dict[str, float] = field(default_factory=lambda: {"mine": 1.0})
    """By name."""
    more: dict[str, Any] = field(default_factory=dict)
    """Whatever else."""
    nets: tuple[Net, ...] = (Net(), Net((1,)))
    """Many networks."""


def read(*argv: str) -> Whatever:
    return parse(Whatever, argv, "whatever", "Words.")


F = Path("f")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["f"], Whatever(F)),
        (["f", "g"], Whatever(F, Path("g"))),
        (["--steps", "7", "f"], Whatever(F, steps=7)),
        (["f", "--steps=1e3"], Whatever(F, steps=1000)),
        (["f", "--share", "0.5"], Whatever(F, share=0.5)),
        (["f", "--share", "None"], Whatever(F)),
        (["f", "--name", "none"], Whatever(F, name="none")),
        (["f", "--name=--x"], Whatever(F, name="--x")),
        (["f", "--name", "-5"], Whatever(F, name="-5")),
        (["f", "--name="], Whatever(F, name="")),
        (["f", "--way", "all the way down"], Whatever(F, way="all the way down")),
        (["--loud", "f"], Whatever(F, loud=True)),
        (["--no-loud", "f"], Whatever(F)),
        (["f", "--loud", "False"], Whatever(F)),
        (["f", "--loud=true"], Whatever(F, loud=True)),
        (["f", "--net.no-bias"], Whatever(F, net=Net(bias=False))),
        (["f", "--net.hidden", "8", "9", "--net.bias", "no"], Whatever(F, net=Net((8, 9), False))),
        (["f", "--net.hidden"], Whatever(F, net=Net(()))),
        (["f", "--trace", "monte_carlo"], Whatever(F, trace=MonteCarlo())),
        (["f", "--trace.lam", ".5", "--trace", "gae"], Whatever(F, trace=GAE(0.5))),
        (["f", "--trace.lam", ".5"], Whatever(F, trace=GAE(0.5))),
        (["f", "--nets.1.bias", "off"], Whatever(F, nets=(Net(), Net((1,), False)))),
        (["f", "--second.bias", "false"], Whatever(F, second=Net(bias=False))),
        (["f", "--second", "net"], Whatever(F, second=Net())),
        (["f", "--weights.yours", "2"], Whatever(F, weights={"mine": 1.0, "yours": 2.0})),
        (["f", "--weights", "a=1", "b=inf"], Whatever(F, weights={"a": 1.0, "b": math.inf})),
        (["f", "--more.deep", "{a: [1, true]}"], Whatever(F, more={"deep": {"a": [1, True]}})),
    ],
)  # fmt: skip
def test_ways_to_write_a_flag(line: list[str], expected: Whatever) -> None:
    assert read(*line) == expected


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ([], "PATH is missing: The file"),
        (["f", "g", "h"], "h is unknown"),
        (["f", "--stepps", "1"], "--stepps is unknown; did you mean --steps?"),
        (["f", "--steps", "1.5"], "--steps: '1.5' is not a whole number"),
        (["f", "--steps", "--loud"], "--steps needs a value"),
        (["f", "--way", "down"], "--way: 'down' is not one of up, all the way down"),
        (["f", "--net.hidden", "8", "x"], "--net.hidden: 'x' is not a whole number"),
        (["f", "--trace", "gea"], "--trace: 'gea' is not one of gae, monte_carlo (as `kind`)"),
        (["f", "--trace", "monte_carlo", "--trace.lam", "1"], "--trace.lam belongs to another choice; give --trace gae as well"),
        (["f", "--weights.a", "x"], "--weights.a: 'x' is not a number"),
        (["f", "--weights", "a"], "--weights: 'a' is not NAME=VALUE"),
    ],
)  # fmt: skip
def test_lines_that_cannot_be_read(line: list[str], sentence: str) -> None:
    with pytest.raises(Misused) as caught:
        read(*line)
    assert str(caught.value) == f"whatever: {sentence}; see plaudit whatever --help"


def test_flags_change_what_is_given() -> None:
    given = Whatever(F, net=Net((5,)), trace=GAE(0.5), weights={"mine": 2.0})
    changed = arguments.parse_with(
        given,
        ["--net.no-bias", "--trace.lam", "0.6", "--weights.other", "3", "--nets.1.bias", "off"],
        "x",
        "",
    )
    assert changed == Whatever(
        F, net=Net((5,), False), trace=GAE(0.6), weights={"mine": 2.0, "other": 3.0},
        nets=(Net(), Net((1,), False)),
    )  # fmt: skip
    assert arguments.parse_with(given, ["--set", "nets=[]"], "x", "") == Whatever(
        F, net=Net((5,)), trace=GAE(0.5), weights={"mine": 2.0}, nets=()
    )


def paths(config: Any, path: str = "") -> set[str]:
    """Every field of what a config holds, by its flag; written apart from the walk that it checks."""
    found = set()
    for one in fields(config):
        value, name = getattr(config, one.name), f"{path}{one.name}".replace("_", "-")
        if value is None and one.type is Any:
            continue  # the settings of what is not chosen have no fields
        if is_dataclass(value):
            found |= paths(value, f"{name}.")
        elif isinstance(value, tuple) and any(map(is_dataclass, value)):
            for i, item in enumerate(value):
                found |= paths(item, f"{name}.{i}.")
        else:
            found.add(f"--{name}")
    return found


@pytest.mark.parametrize("example", ["cartpole.yaml", "pendulum_preferences.yaml"])
def test_the_help_shows_every_field_within_80_columns(
    plaudit: Run, example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    place = Path(__file__).parents[2] / "examples" / example
    if not place.exists():
        place = next(place.parent.glob("*.yaml"))
    code, out, err = plaudit("run", place, "--help")
    assert code == 0 and not err and max(map(len, out.splitlines())) <= 80
    words = " ".join(out.replace("│", " ").split())
    for name in paths(configs.load(place)):
        assert f"{name} " in words, name
    assert "Steps of each environment per rollout. (at least 1; default: " in words
    assert (
        "Trace decay lambda: 0 trusts the critic, 1 trusts the rewards. (between 0 and 1; default: " in words
    )
    for member in (NoLimit, Penalty, StopAt):  # what is not chosen shows too
        assert all(f"--settings.constraint.{one.name} " in words for one in fields(member))


def test_every_flag_says_what_it_is() -> None:
    every = [flag for group in groups(Whatever) for flag in group.flags]
    assert all(flag.meaning.endswith(".") for flag in every)
    assert [flag.name for flag in every if flag.default is MISSING] == ["--file"]


def test_a_name_of_before_is_noted_in_one_line(plaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from plaudit.cli import resume

    def warn(argv: object) -> int:
        warnings.warn("config key a is called b now", Renamed, stacklevel=1)
        return 0

    monkeypatch.setattr(resume, "main", warn)
    assert plaudit("resume", os.devnull) == (0, "", "note: config key a is called b now\n")
