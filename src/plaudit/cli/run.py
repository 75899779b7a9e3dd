"""plaudit run CONFIG: run a config; its fields are flags too, and a flag wins over the file.

Without a config: `plaudit run --env ID` learns from the reward of an environment, and with `--labels N` from N
comparisons instead, of simulated people unless `--feedback.people []` waits for real ones. ID is Gymnasium's, such as
CartPole-v1, or the place of a class: module:Env, path/to/file.py:Env. What suits the environment is looked up in its
spaces, its step limit and some random actions; it is said, and kept in config.yaml of the run, which repeats it.
`plaudit run CONFIG --help` lists every field, and so does `plaudit run --env ID --help`.
"""

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from plaudit.cli import arguments, defaults
from plaudit.errors import PlauditError
from plaudit.runs import config as configs
from plaudit.runs import settings
from plaudit.runs.config import RunConfig, load, resolve_paths
from plaudit.runs.folder import RunFolder
from plaudit.stages import compare, optimise
from plaudit.stages.seeds import Outcome, Seed, Watch, side_by_side
from plaudit.trackers.console import ProgressBar
from plaudit.trainers import supervised

CONSOLE = Console(stderr=True)
USAGE = """usage: plaudit run CONFIG [--out FOLDER] [--seeds N [--jobs M]] [--FIELD VALUE ...]
       plaudit run --env ID [--labels N] [--out FOLDER] [--seeds N [--jobs M]] [--FIELD VALUE ...]"""
ALSO = """

Also: --out FOLDER (where it is written), --seeds N (N seeds, with an interval), --jobs M (so many of them at a time),
--set FIELD=YAML."""


def main(argv: Sequence[str]) -> int:
    """Run the config in the first argument, or an environment."""
    if not argv or argv[0] in ("-h", "--help"):
        print(f"{USAGE}\n\n{__doc__}")
        return 0 if argv else 2
    if not argv[0].startswith("-"):
        return run_all(load(Path(argv[0])), argv[1:], f"run {Path(argv[0]).stem}", str(__doc__))
    how, rest = _how(argv)
    chosen = defaults.of_environment(rest, str(__doc__) + ALSO)
    for line in chosen.said:
        CONSOLE.print(line, highlight=False, markup=False, soft_wrap=True)
    return _run(chosen.config, how, "run")


@dataclass(frozen=True)
class How:
    """Of a command that runs something: where to, and how often."""

    out: str | None
    seeds: int
    jobs: int


def _how(argv: Sequence[str]) -> tuple[How, list[str]]:
    out, rest = arguments.take(argv, "out")
    seeds, rest = arguments.take(rest, "seeds", "1")
    jobs, rest = arguments.take(rest, "jobs", "1")
    how = How(out, arguments.whole(seeds, "seeds"), arguments.whole(jobs, "jobs"))
    if how.jobs > 1 and how.seeds == 1:
        raise PlauditError("--jobs: one seed is one process; give --seeds as well, or leave it out")
    return how, rest


def run_all(config: RunConfig, argv: Sequence[str], title: str, description: str) -> int:
    """Run a config changed by flags; `--out` names the folder, `--seeds N` runs N seeds into folders below it."""
    how, rest = _how(argv)
    return _run(arguments.override(config, rest, title, description + ALSO), how, title)


def _run(config: RunConfig, how: How, title: str) -> int:
    path = Path(how.out or f"runs/{_name(config)}-{Path(config.algorithm).stem}-{config.seed}")
    torch.set_num_threads(1)  # small networks: a second thread costs more than it gives
    if how.seeds == 1:
        run_one(config, path, title)
        return 0
    seeds = []
    for number in range(config.seed, config.seed + how.seeds):
        one = resolve_paths(replace(config, seed=number))
        seeds.append(Seed(f"seed {number}", settings.dump(one), path / f"seed-{number}"))
        _refuse_another(seeds[-1])
    outcomes = _beside(config, seeds, how.jobs) if how.jobs > 1 else [_after_others(seed) for seed in seeds]
    failed = {one.seed.path: one for one in outcomes if one.failed}
    if len(failed) == len(seeds) and len({one.said for one in outcomes}) == 1:  # of the config, not of a seed
        raise PlauditError(outcomes[0].said)
    for one in sorted(failed.values(), key=lambda one: one.seed.path):
        CONSOLE.print(f"plaudit: {one.seed.name}: {one.said}", highlight=False, markup=False, soft_wrap=True)
    done = [RunFolder.open(seed.path) for seed in seeds if seed.path not in failed]
    if done:
        print(compare.table([[folder.path for folder in done]]))
        print(reported(lambda report: report.write_seeds_report(done, path / "report.html")))
    return 1 if failed else 0


def _refuse_another(seed: Seed) -> None:
    """PlauditError where a run with another config stands where this seed is to be."""
    if not (seed.path / "manifest.json").exists():
        return
    if settings.dump(load(RunFolder.open(seed.path).config)) != seed.config:
        raise PlauditError(f"{seed.path}: a run with another config is here already; choose another --out")


def _after_others(seed: Seed) -> Outcome:
    """A seed in this process; one that failed does not keep the others from running."""
    config = configs.parse(seed.config)
    try:
        _one_of_several(config, seed, lambda work: _watched(seed.name, config, work))
    except PlauditError as error:
        stopped = (seed.path / "manifest.json").exists() and _status(seed.path) == "stopped"
        if stopped:  # by command: that is meant for all
            raise
        return Outcome(seed, str(error), failed=True)
    return Outcome(seed, "")


def _beside(config: RunConfig, seeds: Sequence[Seed], jobs: int) -> list[Outcome]:
    """Seeds in processes of their own, each with its line of progress."""
    first = _bar(seeds[0].name, config)
    bars = {seed.name: first if seed is seeds[0] else first.beside(seed.name) for seed in seeds}
    outcomes = []
    try:
        for one in side_by_side(in_process, seeds, jobs, lambda seed, row: bars[seed.name].write(row)):
            outcomes.append(one)
            if one.said and not one.failed:
                print(one.said)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{seeds[0].path.parent}: stopped; the same command again goes on") from None
    finally:
        first.close()
    return outcomes


def in_process(seed: Seed, tell: Watch) -> str:
    """A seed in a process that is its own: what `run_one` prints, and its rows for whoever shows them."""
    torch.set_num_threads(1)
    with redirect_stdout(io.StringIO()) as told:
        _one_of_several(configs.parse(seed.config), seed, lambda work: work(tell))
    return told.getvalue().strip()


Watched = Callable[[Callable[[optimise.Watch], RunFolder]], RunFolder]


def _one_of_several(config: RunConfig, seed: Seed, watched: Watched) -> None:
    """A seed begun, or gone on with, or long finished: the same command again completes what was killed."""
    if not (seed.path / "manifest.json").exists():
        finish(watched(lambda watch: optimise.start(config, seed.path, watch)))
    elif _status(seed.path) != "finished":
        finish(watched(lambda watch: optimise.resume(seed.path, watch)))
    elif not RunFolder.open(seed.path).report.exists():
        finish(RunFolder.open(seed.path))


def _status(path: Path) -> str | None:
    return RunFolder.open(path).read_manifest().get("status")


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
    """What a folder may be called by: of a file, or of a module, what is in it."""
    return getattr(config.environment, "id", "language").rpartition(":")[2]


def _bar(title: str, config: RunConfig) -> ProgressBar:
    if isinstance(config.trainer, supervised.Config):
        return bar_of(title, config.trainer)
    counted = "timesteps" if config.medium == "control" else "update"
    return ProgressBar(title, config.budget, CONSOLE, counted)


def _watched(title: str, config: RunConfig, work: Callable[[optimise.Watch], RunFolder]) -> RunFolder:
    bar = _bar(title, config)
    try:
        return work(bar.write)
    finally:
        bar.close()
