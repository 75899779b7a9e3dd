"""plaudit pretrain FILE --out FOLDER: train a policy on what others did or wrote, before any feedback.

FILE: .npz with obs [steps, ...], actions [steps, ...] and episode_starts [steps] clones a control policy; `--env ID`
says of which environment, unless a text `environment` in the file does. .txt or .txt.gz is learned as plain language;
.jsonl, .json or .csv holds demonstrations (prompt and completion, messages, or text); `service` stands for the service
dialogues that plaudit generates. For language `--start MODEL` goes on with a model, else a new small one is made.
`plaudit pretrain FILE --help` lists the fields.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plaudit.cli import arguments
from plaudit.cli.run import bar_of
from plaudit.environments.control.config import Control
from plaudit.errors import PlauditError
from plaudit.readers.arrays import environment_in
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
    usual: PretrainConfig = PretrainControl(_environment(file, rest)) if control else PretrainText()
    config = arguments.parse_with(usual, rest, "pretrain FILE", str(__doc__))
    bar = bar_of("pretrain", config.trainer)
    try:
        result = pretrain(config, file, Path(str(out)), bar.write)
    finally:
        bar.close()
    print(_said(result, str(out)))
    if result.get("doubt"):
        print(f"warning: {result['doubt']}")
    if result.get("left_out"):
        print(f"note: {result['left_out']} demonstrations were left out: they do not fit the context")
    return 0


def _environment(file: str, flags: Sequence[str]) -> Control:
    """That of the flags, which go on top, or of the file. PlauditError where neither says it."""
    if any(item in ("-h", "--help") for item in flags):
        return Control("ID")
    found = environment_in(Path(file))
    given = any(item.partition("=")[0] in ("--env", "--environment.id") for item in flags)
    if found is None and not given and not any(item.startswith("environment") for item in flags):
        raise PlauditError(
            f"{file}: does not say which environment it is of; give --env ID, such as --env CartPole-v1"
        )
    return Control(found or "ID")


def _said(result: dict[str, Any], out: str) -> str:
    if "return_mean" in result:
        shown = result["return_mean_demonstrated"]
        beside = "" if shown is None else f", the demonstrations {shown:.1f}"
        return (
            f"held-out loss {result['val/nll_avg']:.4f}; true return {result['return_mean']:.1f} +- "
            f"{result['return_std']:.1f} over {result['episodes']} episodes (at random "
            f"{result['return_mean_random']:.1f}{beside}); policy {out}"
        )
    return (
        f"held-out loss {result['val/nll_avg']:.4f} nats per token, {result['val/nll_per_character']:.4f} per "
        f"character; {result['parameters']:,} parameters; model {out}"
    )
