"""plaudit optimise ALGORITHM: optimise a policy by an on-policy algorithm, a name or a Python file of yours.

Without a reward model this is plain reinforcement learning on the environment's own reward.
`plaudit optimise ALGORITHM --help` lists every field.
"""

import inspect
from collections.abc import Sequence

from plaudit.cli.running import run_all
from plaudit.environments.control.make import EnvironmentConfig
from plaudit.pipeline import algorithms
from plaudit.pipeline.config import RunConfig, with_settings


def main(argv: Sequence[str]) -> int:
    """Optimise by the algorithm in the first argument."""
    names = ", ".join(algorithms.names("on_policy"))
    if not argv or argv[0] in ("-h", "--help"):
        usage = "usage: plaudit optimise ALGORITHM --env ID [--source] [--FIELD VALUE ...]"
        print(f"{usage}\n\n{__doc__}\nalgorithms: {names}, or the path of a Python file")
        return 0 if argv else 2
    name, rest = argv[0], list(argv[1:])
    module = algorithms.find(name)
    if "--source" in rest:
        print(inspect.getsource(module.loss))
        return 0
    config = with_settings(RunConfig(EnvironmentConfig("CartPole-v1"), algorithm=name))
    return run_all(config, rest, f"optimise {name}", f"{module.__doc__}\n\n{__doc__}")
