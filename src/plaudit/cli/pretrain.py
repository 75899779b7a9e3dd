"""plaudit pretrain FILE --out FOLDER: train a policy on what others did or wrote, before any feedback.

FILE: .npz with obs [steps, ...], actions [steps, ...] and episode_starts [steps] clones a control policy (with
--env ID). .txt or .txt.gz is learned as plain language; .jsonl, .json or .csv holds demonstrations (prompt and
completion, messages, or text); `service` stands for the service dialogues that plaudit generates. For language
`--start MODEL` goes on with a model, else a new small one is made. `plaudit pretrain FILE --help` lists the fields.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from plaudit.cli import arguments
from plaudit.cli.running import length
from plaudit.errors import PlauditError
from plaudit.trackers.console import ProgressBar


def main(argv: Sequence[str]) -> int:
    """Learn from the file in the first argument."""
    file = argv[0] if argv and not argv[0].startswith("-") else None
    if file is None and any(item in ("-h", "--help") for item in argv):
        print(f"usage: plaudit pretrain FILE [--out FOLDER] [--FIELD VALUE]\n\n{__doc__}")
        return 0
    if file is None:
        raise PlauditError("pretrain: the first argument is the file with demonstrations")
    out, rest = arguments.take(argv[1:], "out", "runs/clone" if file.endswith(".npz") else "runs/pretrained")
    return (_control if file.endswith(".npz") else _language)(file, Path(str(out)), rest)


def _control(file: str, out: Path, rest: Sequence[str]) -> int:
    from plaudit.environments.control.make import Control
    from plaudit.stages.pretrain import CloneConfig, clone
    from plaudit.readers.arrays import read_demonstrations

    config = arguments.parse_with(
        CloneConfig(Control("CartPole-v1")), rest, "pretrain", str(__doc__)
    )
    torch.set_num_threads(1)
    steps = read_demonstrations(Path(file))
    bar = ProgressBar("pretrain", *length(config.trainer))
    try:
        result = clone(config, steps, out, bar.write)
    finally:
        bar.close()
    print(
        f"held-out loss {result['val/nll_avg']:.4f}; true return {result['return_mean']:.1f} +- "
        f"{result['return_std']:.1f} over {result['episodes']} episodes; policy {out}"
    )
    return 0


def _language(file: str, out: Path, rest: Sequence[str]) -> int:
    from plaudit.pipeline.language.pretrain import PretrainConfig, pretrain

    config = arguments.parse_with(PretrainConfig(), rest, "pretrain", str(__doc__))
    torch.set_num_threads(config.threads)
    bar = ProgressBar("pretrain", *length(config.trainer))
    try:
        result = pretrain(config, file, out, bar.write)
    finally:
        bar.close()
    print(
        f"held-out loss {result['val/nll_avg']:.4f} nats per token, {result['val/nll_per_character']:.4f} per "
        f"character; {result['parameters']:,} parameters; model {out}"
    )
    if result["left_out"]:
        print(f"note: {result['left_out']} demonstrations were left out: they do not fit the context")
    return 0
