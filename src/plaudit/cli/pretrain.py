"""plaudit pretrain FILE --env ID --out FOLDER: clone a policy from demonstrations.

FILE: .npz with obs [steps, ...], actions [steps, ...] and episode_starts [steps].
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from plaudit.cli import arguments
from plaudit.cli.running import CONSOLE
from plaudit.environments.control.make import EnvironmentConfig
from plaudit.errors import PlauditError
from plaudit.pipeline.pretrain import CloneConfig, clone
from plaudit.readers.arrays import read_demonstrations
from plaudit.trackers.console import ProgressBar


def main(argv: Sequence[str]) -> int:
    """Clone from the file in the first argument."""
    file = argv[0] if argv and not argv[0].startswith("-") else None
    out, rest = arguments.take(argv[1:] if file else argv, "out", "runs/clone")
    default = CloneConfig(EnvironmentConfig("CartPole-v1"))
    config = arguments.parse_with(default, rest, "pretrain", str(__doc__))
    if file is None:
        raise PlauditError("pretrain: the first argument is the file with demonstrations")
    torch.set_num_threads(1)
    steps = read_demonstrations(Path(file))
    bar = ProgressBar("pretrain", config.trainer.epochs, CONSOLE)
    try:
        result = clone(config, steps, Path(str(out)), bar.write)
    finally:
        bar.close()
    print(
        f"held-out loss {result['val/nll_avg']:.4f}; true return {result['return_mean']:.1f} +- "
        f"{result['return_std']:.1f} over {result['episodes']} episodes; policy {out}"
    )
    return 0
