"""plaudit optimise ALGORITHM: optimise a policy by an algorithm, a name or a Python file of yours.

Control: `plaudit optimise ppo --env CartPole-v1`; without a reward model plain reinforcement learning on the
environment's own reward. Language: `plaudit optimise ppo --start MODEL --prompts FILE --reward.start REWARD_MODEL`.
Preference algorithms learn from a file: `plaudit optimise dpo --start MODEL --pairs FILE`; adversarial imitation from
demonstrations: `plaudit optimise gail --env CartPole-v1 --reward.demonstrations FILE`.
`plaudit optimise ALGORITHM --help` lists the fields for control, `plaudit optimise ALGORITHM --start MODEL --help`
those for language.
"""

import inspect
from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from plaudit.cli.run import run_all
from plaudit.environments.control.config import Control
from plaudit.environments.language.config import Language
from plaudit.errors import PlauditError
from plaudit.runs import algorithms, config


def main(argv: Sequence[str]) -> int:
    """Optimise by the algorithm in the first argument."""
    if not argv or argv[0] in ("-h", "--help"):
        usage = "usage: plaudit optimise ALGORITHM (--env ID | --start MODEL --prompts FILE) [--source] [--FIELD VALUE]"
        lists = "\n".join(f"{kind}: {', '.join(names)}" for kind, names in _optimisers().items())
        print(f"{usage}\n\n{__doc__}\n{lists}; or the path of a Python file")
        return 0 if argv else 2
    name, rest = argv[0], list(argv[1:])
    module = algorithms.find(name)
    if "--source" in rest:
        print(inspect.getsource(getattr(module, "loss", None) or module.tell))
        return 0
    about = ("--env", "--start", "--prompts", "--set", "-h", "--help")
    if not any(item.startswith(about) for item in rest):
        raise PlauditError(
            f"optimise {name}: name an environment, such as --env CartPole-v1, or a language model: --start MODEL"
        )
    usual = _defaults(name, rest)
    if algorithms.kind_of(module) == "imitation":
        own, policys = ({one.name for one in fields(part)} for part in (module.Config, usual.settings))
        rest = [_of_discriminator(token, own - policys) for token in rest]
    return run_all(usual, rest, f"optimise {name}", f"{module.__doc__}\n\n{__doc__}")


def _of_discriminator(token: str, own: set[str]) -> str:
    """A flag `--settings.NAME` that only the discriminator has, not the policy it rewards, at its full name."""
    name = token.removeprefix("--settings.").partition("=")[0]
    if token.startswith("--settings.") and name.partition(".")[0].replace("-", "_") in own:
        return token.replace("--settings.", "--reward.discriminator_settings.", 1)
    return token


def _optimisers() -> dict[str, list[str]]:
    """Every algorithm that acts or compares, by its kind."""
    found = {kind: algorithms.names(kind) for kind in algorithms.KINDS}
    found["imitation"] = [name for name in found["imitation"] if hasattr(algorithms.find(name), "reward")]
    return {kind: names for kind, names in found.items() if names}


def _defaults(name: str, rest: Sequence[str]) -> config.RunConfig:
    """A config for control, or for language where the flags speak of it."""
    if speaks_of_language(name, rest):
        return config.parse({"algorithm": name, "environment": {"kind": "language"}, "start": ""})
    environment: dict[str, Any] = {"kind": "control", "id": "CartPole-v1"}
    return config.parse({"algorithm": name, "environment": environment})


def speaks_of_language(name: str, arguments: Sequence[str]) -> bool:
    """Prompts, or a start that is not a policy for control; pairs are texts unless an environment is named."""
    if any(item.startswith(("--prompts", "--language.")) for item in arguments):
        return True
    control, language = ({one.name for one in fields(schema)} for schema in (Control, Language))
    named = [
        item[2:].partition("=")[0].partition(".") for item in arguments if item.startswith("--environment.")
    ]
    inside = {name.partition(".")[0].replace("-", "_") for _, _, name in named}
    if inside & (language - control):
        return True
    if inside & (control - language) or any(
        item.startswith("--env") for item in arguments if "." not in item
    ):
        return False
    for item, following in pairwise([*arguments, ""]):
        place = item.partition("=")[2] if item.startswith("--start=") else None
        place = following if item == "--start" else place
        if place is not None:
            return not (Path(place) / "plaudit.json").exists()
    return False
