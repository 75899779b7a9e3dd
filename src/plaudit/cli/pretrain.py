"""plaudit pretrain FILE --out FOLDER: train a policy on what others did or wrote, before any feedback.

FILE: .npz with obs [steps, ...], actions [steps, ...] and episode_starts [steps] clones a control policy (with
--env ID). .txt or .txt.gz is learned as plain language; .jsonl, .json or .csv holds demonstrations (prompt and
completion, messages, or text); `service` stands for the service dialogues that plaudit generates. For language
`--start MODEL` goes on with a model, else a new small one is made. `plaudit pretrain FILE --help` lists the fields.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plaudit.cli import arguments
from plaudit.cli.run import bar_of
from plaudit.environments.control.config import Control
from plaudit.errors import PlauditError
from plaudit.stages.pretrain import pretrain
from plaudit.stages.pretrain_config import PretrainConfig, PretrainControl, PretrainText


def main(argv: Sequence[str]) -> int:
    """Learn from the file in the first argument."""
    file = argv[0] if argv and not argv[0].startswith("-") else None
    if file is None and any(item in ("-h", "--help") for item in argv):
        print(f"usage: plaudit pretrain FILE [--out FOLDER] [--FIELD VALUE]\n\n{__doc__}")
        return 0
    if file is None:
        raise PlauditError("pretrain: the first argument is the file with demonstrations")
    control = file.endswith(".npz")
    out, rest = arguments.take(argv[1:], "out", "runs/clone" if control else "runs/pretrained")
    usual: PretrainConfig = PretrainControl(Control("CartPole-v1")) if control else PretrainText()
    config = arguments.parse_with(usual, rest, "pretrain", str(__doc__))
    bar = bar_of("pretrain", config.trainer)
    try:
        result = pretrain(config, file, Path(str(out)), bar.write)
    finally:
        bar.close()
    print(_said(result, str(out)))
    if result.get("left_out"):
        print(f"note: {result['left_out']} demonstrations were left out: they do not fit the context")
    return 0


def _said(result: dict[str, Any], out: str) -> str:
    if "return_mean" in result:
        return (
            f"held-out loss {result['val/nll_avg']:.4f}; true return {result['return_mean']:.1f} +- "
            f"{result['return_std']:.1f} over {result['episodes']} episodes; policy {out}"
        )
    return (
        f"held-out loss {result['val/nll_avg']:.4f} nats per token, {result['val/nll_per_character']:.4f} per "
        f"character; {result['parameters']:,} parameters; model {out}"
    )
