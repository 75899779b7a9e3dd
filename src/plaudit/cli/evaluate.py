"""plaudit evaluate FOLDER: the true return of a run's policy, or of a saved policy, on fresh episodes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from plaudit.cli import arguments
from plaudit.pipeline import saved
from plaudit.pipeline.config import load
from plaudit.pipeline.evaluate import true_returns
from plaudit.pipeline.run_folder import RunFolder


@dataclass(frozen=True)
class Evaluate:
    """What to evaluate, and how."""

    folder: tyro.conf.Positional[Path]
    """A run folder, or the folder of a saved policy."""
    episodes: int = 50
    """Episodes."""
    seed: int = 12345
    """Seed of the episodes."""
    sample: tyro.conf.FlagCreatePairsOff[bool] = False
    """Draw the actions instead of taking the likeliest."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print JSON."""


def main(argv: Sequence[str]) -> int:
    """Evaluate one policy."""
    given = arguments.parse(Evaluate, argv, "evaluate", str(__doc__))
    torch.set_num_threads(1)
    if (given.folder / saved.CARD).exists():
        policy_folder = given.folder
        environment = saved.environment_of(policy_folder)
    else:
        folder = RunFolder.open(given.folder)
        policy_folder, environment = folder.path / "policy", load(folder.config).environment
    policy = saved.load_policy(policy_folder, environment.id)
    returns = true_returns(policy, environment, given.episodes, given.seed, not given.sample)
    result = {
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
        "episodes": len(returns),
    }
    if given.json:
        print(json.dumps(result))
    else:
        print("true return {return_mean:.1f} +- {return_std:.1f} over {episodes} episodes".format(**result))
    return 0
