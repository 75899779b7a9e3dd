"""Running configs from the command line: one seed or several, with a progress bar and a closing line."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from plaudit.cli import arguments
from plaudit.errors import PlauditError
from plaudit.pipeline import compare, optimise, settings
from plaudit.pipeline.config import RunConfig, load, settled
from plaudit.pipeline.report import write_report, write_seeds_report
from plaudit.pipeline.run_folder import RunFolder
from plaudit.trackers.console import ProgressBar

CONSOLE = Console(stderr=True)


def run_all(config: RunConfig, argv: Sequence[str], title: str, description: str) -> int:
    """Run a config changed by flags; `--out` names the folder, `--seeds N` runs N seeds into folders below it."""
    out, rest = arguments.take(argv, "out")
    seeds, rest = arguments.take(rest, "seeds", "1")
    count = arguments.whole(seeds, "seeds")
    extra = "\n\nAlso: --out FOLDER (where it is written), --seeds N (N seeds, with an interval), --set FIELD=YAML."
    config = arguments.override(config, rest, title, description + extra)
    path = Path(out or f"runs/{config.environment.id}-{Path(config.algorithm).stem}-{config.seed}")
    torch.set_num_threads(1)  # small networks: a second thread costs more than it gives
    if count == 1:
        run_one(config, path, title)
        return 0
    folders = []
    for seed in range(config.seed, config.seed + count):
        folders.append(_one_of_several(replace(config, seed=seed), path / f"seed-{seed}"))
    print(compare.table([[folder.path for folder in folders]]))
    print(f"report {write_seeds_report(folders, path / 'report.html')}")
    return 0


def _one_of_several(config: RunConfig, path: Path) -> RunFolder:
    """A seed begun, or gone on with, or long finished: the same command again completes what was killed."""
    if not (path / "manifest.json").exists():
        return run_one(config, path, f"seed {config.seed}")
    folder = RunFolder.open(path)
    if settings.dump(load(folder.config)) != settings.dump(settled(config)):
        raise PlauditError(f"{path}: a run with another config is here already; choose another --out")
    if folder.read_manifest().get("status") == "finished":
        return folder
    return resume_one(path, config.steps)


def run_one(config: RunConfig, path: Path, title: str) -> RunFolder:
    """One run in its folder, then its report."""
    folder = _watched(title, config.steps, lambda watch: optimise.start(config, path, watch))
    return finish(folder)


def resume_one(path: Path, steps: int) -> RunFolder:
    """Go on with a run, then its report."""
    return finish(_watched("resume", steps, lambda watch: optimise.resume(path, watch)))


def finish(folder: RunFolder) -> RunFolder:
    """Write the report and say what came out."""
    report = write_report(folder)
    manifest = folder.read_manifest()
    result = manifest["result"]
    for note in manifest.get("notes", ()):
        CONSOLE.print(f"note: {note}", highlight=False)
    print(
        f"true return {result['return_mean']:.1f} +- {result['return_std']:.1f} over {result['episodes']} episodes; "
        f"run {folder.path}, report {report}"
    )
    return folder


def _watched(title: str, steps: int, work: Any) -> RunFolder:
    bar = ProgressBar(title, steps, CONSOLE)
    try:
        return work(bar.write)
    finally:
        bar.close()
