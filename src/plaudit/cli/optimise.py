"""plaudit optimise ALGORITHM: optimise a policy by an on-policy algorithm, a name or a Python file of yours.

Control: `plaudit optimise ppo --env CartPole-v1`; without a reward model plain reinforcement learning on the
environment's own reward. Language: `plaudit optimise ppo --start MODEL --prompts FILE --reward.start REWARD_MODEL`.
`plaudit optimise ALGORITHM --help` lists the fields for control, `plaudit optimise ALGORITHM --start MODEL --help`
those for language.
"""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plaudit.cli.running import run_all
from plaudit.pipeline import kinds
from plaudit.runs import algorithms


def main(argv: Sequence[str]) -> int:
    """Optimise by the algorithm in the first argument."""
    names = ", ".join(algorithms.names("on_policy"))
    if not argv or argv[0] in ("-h", "--help"):
        usage = "usage: plaudit optimise ALGORITHM (--env ID | --start MODEL --prompts FILE) [--source] [--FIELD VALUE]"
        print(f"{usage}\n\n{__doc__}\nalgorithms: {names}, or the path of a Python file")
        return 0 if argv else 2
    name, rest = argv[0], list(argv[1:])
    module = algorithms.find(name)
    if "--source" in rest:
        print(inspect.getsource(module.loss))
        return 0
    return run_all(_defaults(name, rest), rest, f"optimise {name}", f"{module.__doc__}\n\n{__doc__}")


def _defaults(name: str, rest: Sequence[str]) -> Any:
    """A config for control, or for language where the flags speak of it."""
    if not speaks_of_language(rest):
        from plaudit.environments.control.make import Control
        from plaudit.pipeline.control.config import RunConfig

        return kinds.with_settings(RunConfig(Control("CartPole-v1"), algorithm=name))
    from plaudit.pipeline.language.config import RunConfig as LanguageConfig

    return kinds.with_settings(LanguageConfig("", algorithm=name))


def speaks_of_language(arguments: Sequence[str]) -> bool:
    """Prompts, or a start that is not a policy for control."""
    if any(item.startswith(("--prompts", "--language.")) for item in arguments):
        return True
    if any(item.startswith(("--env", "--environment")) for item in arguments):
        return False
    for item, following in zip(arguments, [*arguments[1:], ""], strict=True):
        place = (
            following
            if item == "--start"
            else item.partition("=")[2]
            if item.startswith("--start=")
            else None
        )
        if place is not None:
            return not (Path(place) / "plaudit.json").exists()
    return False
