"""plaudit run CONFIG: run a config; its fields are flags too, and a flag wins over the file.

`plaudit run CONFIG --help` lists every field.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from plaudit.cli import arguments
from plaudit.errors import PlauditError
from plaudit.runs import settings
from plaudit.runs.config import RunConfig, load, resolve_paths
from plaudit.runs.folder import RunFolder
from plaudit.stages import compare, optimise
from plaudit.trackers.console import ProgressBar
from plaudit.trainers import supervised


def main(argv: Sequence[str]) -> int:
    """Run the config in the first argument."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: plaudit run CONFIG [--out FOLDER] [--seeds N] [--FIELD VALUE ...]\n\n" + str(__doc__))
        return 0 if argv else 2
    if argv[0].startswith("-"):
        raise PlauditError(f"run: the first argument is the config file, not {argv[0]!r}")
    return run_all(load(Path(argv[0])), argv[1:], f"run {Path(argv[0]).stem}", str(__doc__))


CONSOLE = Console(stderr=True)


def run_all(config: RunConfig, argv: Sequence[str], title: str, description: str) -> int:
    """Run a config changed by flags; `--out` names the folder, `--seeds N` runs N seeds into folders below it."""
    out, rest = arguments.take(argv, "out")
    seeds, rest = arguments.take(rest, "seeds", "1")
    count = arguments.whole(seeds, "seeds")
    extra = "\n\nAlso: --out FOLDER (where it is written), --seeds N (N seeds, with an interval), --set FIELD=YAML."
    config = arguments.override(config, rest, title, description + extra)
    path = Path(out or f"runs/{_name(config)}-{Path(config.algorithm).stem}-{config.seed}")
    torch.set_num_threads(1)  # small networks: a second thread costs more than it gives
    if count == 1:
        run_one(config, path, title)
        return 0
    folders = []
    for seed in range(config.seed, config.seed + count):
        folders.append(_one_of_several(replace(config, seed=seed), path / f"seed-{seed}"))
    print(compare.table([[folder.path for folder in folders]]))
    print(reported(lambda report: report.write_seeds_report(folders, path / "report.html")))
    return 0


def _one_of_several(config: RunConfig, path: Path) -> RunFolder:
    """A seed begun, or gone on with, or long finished: the same command again completes what was killed."""
    if not (path / "manifest.json").exists():
        return run_one(config, path, f"seed {config.seed}")
    folder = RunFolder.open(path)
    if settings.dump(load(folder.config)) != settings.dump(resolve_paths(config)):
        raise PlauditError(f"{path}: a run with another config is here already; choose another --out")
    if folder.read_manifest().get("status") == "finished" and folder.report.exists():
        return folder
    return resume_one(path)


def run_one(config: RunConfig, path: Path, title: str) -> RunFolder:
    """One run in its folder, then its report."""
    return finish(_watched(title, config, lambda watch: optimise.start(config, path, watch)))


def resume_one(path: Path, title: str = "resume") -> RunFolder:
    """Go on with a run, then its report, which is all that is missing where it was killed while that was written."""
    folder = RunFolder.open(path)
    if folder.read_manifest().get("status") == "finished" and not folder.report.exists():
        return finish(folder)
    config = load(folder.config)
    return finish(_watched(title, config, lambda watch: optimise.resume(path, watch)))


def finish(folder: RunFolder) -> RunFolder:
    """Write the report and say what came out."""
    manifest = folder.read_manifest()
    result = manifest["result"]
    for note in manifest.get("notes", ()):
        CONSOLE.print(f"note: {note}", highlight=False)
    print(f"{said(result)}; run {folder.path}, {reported(lambda report: report.write_report(folder))}")
    return folder


def said(result: dict[str, Any]) -> str:
    """How good a finished run is, in a line."""
    if "return_mean" in result:
        return returned(result)
    before, name = (
        result["before"],
        "gold_reward_mean" if "gold_reward_mean" in result else "proxy_reward_mean",
    )
    return (
        f"better than at the start on {result['win_rate']:.0%} of {result['win_prompts']} held-out prompts "
        f"by the {result['win_by']} (95 % {result['win_low']:.0%} to {result['win_high']:.0%}; "
        f"ties {result['win_ties']:.0%}); "
        f"{result['win_by']} {before[name]:.2f} -> {result[name]:.2f} "
        f"at KL {result.get('kl_per_answer', 0.0):.1f} nats per answer"
    )


def returned(result: dict[str, Any]) -> str:
    """The true return of a policy: by its likeliest actions, and by drawn ones where these were played too; where it is
    known, that before beside it."""
    before = result.get("before", {})

    def shown(name: str) -> str:
        began = f"{before[name]:.1f} -> " if name in before else ""
        return f"{began}{result[name]:.1f} +- {result[name.replace('mean', 'std')]:.1f}"

    told = f"true return {shown('return_mean')} over {result['episodes']} episodes"
    if "return_mean_drawn" not in result:
        return told
    return f"{told} by the likeliest actions, {shown('return_mean_drawn')} by drawn ones"


def reported(write: Callable[[Any], Path]) -> str:
    """Where the report is; where nothing can draw it, how it is made up for."""
    try:
        return f"report {write(import_module('plaudit.report'))}"
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "matplotlib":
            raise
        return "no report (matplotlib is missing: pip install 'plaudit[report]', then plaudit report RUN)"


def bar_of(title: str, trainer: supervised.Config) -> ProgressBar:
    """A bar over learning from a file: its steps, or passes."""
    if trainer.steps:
        return ProgressBar(title, trainer.steps, CONSOLE, "step")
    return ProgressBar(title, trainer.epochs, CONSOLE, "epoch")


def _name(config: RunConfig) -> str:
    return getattr(config.environment, "id", "language")


def _watched(title: str, config: RunConfig, work: Callable[[optimise.Watch], RunFolder]) -> RunFolder:
    counted = "timesteps" if config.medium == "control" else "update"
    if isinstance(config.trainer, supervised.Config):
        bar = bar_of(title, config.trainer)
    else:
        bar = ProgressBar(title, config.budget, CONSOLE, counted)
    try:
        return work(bar.write)
    finally:
        bar.close()
