"""plaudit reward FILE ... --out FOLDER: learn a reward model from comparisons, with cross-validated accuracy.

FILE: .npz with obs_1, obs_2, action_1, action_2 [pairs, steps, ...] and label [pairs] (0 first, 1 second, .5 equal),
or .jsonl as `plaudit export` writes it. Several files are learned from together.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from plaudit.cli import arguments
from plaudit.errors import PlauditError
from plaudit.pipeline import learn_reward
from plaudit.pipeline.learn_reward import Accuracy, LearnRewardConfig
from plaudit.readers.arrays import RecordedPairs, join_pairs, read_pairs
from plaudit.readers.comparisons import read_comparisons


def main(argv: Sequence[str]) -> int:
    """Learn from the files named before the first flag."""
    files = _leading(argv)
    out, rest = arguments.take(argv[len(files) :], "out", "runs/reward")
    config = arguments.parse(LearnRewardConfig, rest, "reward", str(__doc__))
    if not files:
        raise PlauditError("reward: give at least one file with comparisons before the flags")
    torch.set_num_threads(1)
    pairs = join_pairs([_read(Path(file)) for file in files])
    about = {"files": [str(file) for file in files]}
    results = learn_reward.learn(pairs, config, Path(str(out)), about)
    if results:
        print(_table(results, config))
    print(f"reward model written to {out}")
    return 0


def _read(path: Path) -> RecordedPairs:
    return read_comparisons(path) if path.name.endswith((".jsonl", ".jsonl.gz")) else read_pairs(path)


def _leading(argv: Sequence[str]) -> list[str]:
    stop = next((i for i, item in enumerate(argv) if item.startswith("-")), len(argv))
    return list(argv[:stop])


def _table(results: dict[str, Accuracy], config: LearnRewardConfig) -> str:
    width = max(map(len, results))
    lines = [f"  {name:<{width}}  {a.mean:.3f} +- {a.spread:.3f}" for name, a in results.items()]
    folds = f"{config.repeats} x {config.folds}-fold cross-validation"
    head = f"accuracy on held-out decided pairs, {folds} (mean +- spread):"
    return "\n".join([head, *lines])
