"""plaudit demo: a policy learns what a simulated person wants, without seeing the reward, and shows a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from plaudit.cli import arguments
from plaudit.cli.running import run_one
from plaudit.pipeline import config


@dataclass(frozen=True)
class Demo:
    """Where the demo runs."""

    out: Path = Path("runs/demo")
    """The run folder; a number is added where one is there already."""
    seed: int = 0
    """Seed of everything."""


def main(argv: Sequence[str]) -> int:
    """Run the demo."""
    given = arguments.parse(Demo, argv, "demo", str(__doc__))
    torch.set_num_threads(1)
    print(
        "A pendulum hangs down. A simulated person sees pairs of short clips and says which is better, 200 times.\n"
        "A reward model learns from the answers, and PPO learns from the reward model. Nobody tells it the true reward."
    )
    run_one(config.demo(given.seed), _free(given.out), "demo: Pendulum from 200 comparisons")
    return 0


def _free(path: Path) -> Path:
    taken = [path, *(path.with_name(f"{path.name}-{i}") for i in range(2, 10_000))]
    return next(candidate for candidate in taken if not (candidate / "manifest.json").exists())
