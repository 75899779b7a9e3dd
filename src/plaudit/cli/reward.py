"""plaudit reward FILE ... --out FOLDER: learn a reward model from comparisons, and say how good it is.

Control: .npz with obs_1, obs_2, action_1, action_2 [pairs, steps, ...] and label [pairs] (0 first, 1 second, .5
equal), or .jsonl as `plaudit export` writes it; accuracy by cross-validation. Text: .jsonl, .json or .csv with
prompt, chosen and rejected (plain or messages), and `--start MODEL`; accuracy on held-out pairs.
Several files are learned from together.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from plaudit.cli import arguments
from plaudit.errors import PlauditError

TEXT_FIELDS = ("prompt", "chosen", "messages")


def main(argv: Sequence[str]) -> int:
    """Learn from the files named before the first flag."""
    files = _leading(argv)
    if not files and any(item in ("-h", "--help") for item in argv):
        print(f"usage: plaudit reward FILE ... [--out FOLDER] [--FIELD VALUE]\n\n{__doc__}")
        return 0
    if not files:
        raise PlauditError("reward: give at least one file with comparisons before the flags")
    out, rest = arguments.take(argv[len(files) :], "out", "runs/reward")
    return (_text if _is_text(Path(files[0])) else _control)(files, Path(str(out)), rest)


def _control(files: list[str], out: Path, rest: Sequence[str]) -> int:
    from plaudit.stages import reward as learn_reward
    from plaudit.readers.arrays import join_pairs, read_pairs
    from plaudit.readers.comparisons import read_comparisons

    config = arguments.parse(learn_reward.LearnRewardConfig, rest, "reward", str(__doc__))
    torch.set_num_threads(1)
    read = [read_pairs(Path(f)) if f.endswith(".npz") else read_comparisons(Path(f)) for f in files]
    results = learn_reward.learn(join_pairs(read), config, out, {"files": files})
    if results:
        folds = f"{config.repeats} x {config.folds}-fold cross-validation"
        print(f"accuracy on held-out decided pairs, {folds} (mean +- spread):")
        print(_lines({name: f"{a.mean:.3f} +- {a.spread:.3f}" for name, a in results.items()}))
    print(f"reward model written to {out}")
    return 0


def _text(files: list[str], out: Path, rest: Sequence[str]) -> int:
    from plaudit.pipeline.language import learn_reward

    config = arguments.parse(learn_reward.LearnRewardConfig, rest, "reward", str(__doc__))
    torch.set_num_threads(config.threads)
    train, test = learn_reward.read([Path(file) for file in files], config)
    results = learn_reward.learn(train, test, config, out)
    print(f"accuracy on {len(test):,} held-out pairs after {len(train):,} (mean, 95 % interval over pairs):")
    print(_lines({name: f"{a.mean:.3f} ({a.low:.3f} to {a.high:.3f})" for name, a in results.items()}))
    print(f"reward model written to {out}")
    return 0


def _is_text(path: Path) -> bool:
    """Whether the first row speaks of texts."""
    if path.suffix == ".npz":
        return False
    from plaudit.readers.lines import read_lines

    first: dict[str, Any] | None = next(iter(read_lines(path)), None)
    if first is None:
        raise PlauditError(f"{path}: there is not a single row in it; give a file with comparisons")
    return any(name in first for name in TEXT_FIELDS)


def _leading(argv: Sequence[str]) -> list[str]:
    stop = next((i for i, item in enumerate(argv) if item.startswith("-")), len(argv))
    return list(argv[:stop])


def _lines(results: dict[str, str]) -> str:
    width = max(map(len, results))
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in results.items())
