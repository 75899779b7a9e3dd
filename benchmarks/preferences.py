"""The board: what plaudit learns from comparisons alone, beside its own PPO on the true reward at the same steps.

    python -m benchmarks.preferences [--only hopper] [--column comparisons] [--seeds 5] [--jobs 2] [--again]

Each task is a config in examples/ as it stands: a simulated person compares segments, and the environment's reward is
never used. `reward` is the same config with that reward in place of the learned one. The other columns change what
people say: one or three in ten answers wrong, coins in place of answers, fewer comparisons. What was measured is kept
in benchmarks/results/preferences.json run by run, so that a measurement goes on where it stopped, and written as tables
to preferences.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.machine import EXAMPLES, RESULTS, described, merged, today
from benchmarks.side_by_side import side_by_side

PACKAGES = ("plaudit", "torch", "numpy", "gymnasium", "mujoco", "box2d")
KEPT = RESULTS / "preferences.json"
INFORMATIVE = 0.7
"""Least share of the pairs asked about whose true returns differ."""


@dataclass(frozen=True)
class Task:
    """A row."""

    name: str
    title: str
    required: float | None = None
    """The true return that the mean over seeds must reach."""
    share: float | None = None
    """The share of the true return of PPO on the reward that it must reach."""
    published: str = ""
    """What others report, and who."""

    @property
    def example(self) -> Path:
        """Its config."""
        return EXAMPLES / f"{self.name}_preferences.yaml"


CHRISTIANO = "700 answers, TRPO, 5 to 20 million steps: about what the reward gives, in curves (Christiano et al. 2017)"
TASKS = (
    Task("pendulum", "Pendulum-v1", required=-200),
    Task("cartpole", "CartPole-v1", required=475),
    Task("acrobot", "Acrobot-v1", required=-110),
    Task("lunar_lander", "LunarLander-v3", required=100),
    Task("half_cheetah", "HalfCheetah-v5", share=0.95, published=CHRISTIANO),
    Task("hopper", "Hopper-v5", share=0.8, published=CHRISTIANO),
    Task("walker2d", "Walker2d-v5", share=0.8, published=CHRISTIANO),
    Task("swimmer", "Swimmer-v5", share=0.8, published=CHRISTIANO),
)
BY_NAME = {task.name: task for task in TASKS}
MUJOCO = [task.name for task in TASKS if task.share]


@dataclass(frozen=True)
class Column:
    """What is changed in every row."""

    name: str
    says: str
    changes: dict[str, Any] = field(default_factory=dict)
    labels: int | None = None
    """So many comparisons in place of those of the example."""
    tasks: tuple[str, ...] = tuple(BY_NAME)


def _person(**flaws: float) -> dict[str, Any]:
    return {"feedback": {"people": [flaws]}}


COLUMNS = (
    Column("comparisons", "as the example is"),
    Column("reward", "PPO on the environment's reward"),
    Column("mistakes", "one in ten answers wrong", _person(mistake=0.1)),
    Column("mistakes_30", "three in ten answers wrong", _person(mistake=0.3), tasks=tuple(MUJOCO)),
    Column("coins", "coins in place of answers", _person(beta=0.0)),
    Column("labels_100", "100 comparisons", labels=100, tasks=tuple(MUJOCO)),
    Column("labels_50", "50 comparisons", labels=50, tasks=tuple(MUJOCO)),
)
COLUMN = {column.name: column for column in COLUMNS}


@dataclass(frozen=True)
class Run:
    """One run."""

    task: str
    column: str
    seed: int


def mapping(run: Run) -> dict[str, Any]:
    """The config of a run."""
    from plaudit.runs import settings

    column, given = COLUMN[run.column], settings.load_yaml(BY_NAME[run.task].example)
    if run.column == "reward":
        kept = {"normalise": given["reward"]["normalise"]} if "normalise" in given["reward"] else {}
        given = {name: value for name, value in given.items() if name != "feedback"} | {"reward": kept}
    if column.labels is not None:
        first = round(given["feedback"]["first"] * column.labels / given["feedback"]["labels"])
        given = merged(given, {"feedback": {"labels": column.labels, "first": max(20, first)}})
    return merged(given, column.changes | {"seed": run.seed})


def measure(run: Run) -> dict[str, Any]:
    """One run in this process: its true return, and the CPU seconds of it all."""
    import torch

    from plaudit.runs import config
    from plaudit.stages import optimise

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        made = config.from_mapping(mapping(run), f"{BY_NAME[run.task].example} as {run.column}")
        done = optimise.start(made, Path(folder) / "run", lambda row: None)
        seconds = time.process_time() - began
        rows, result = list(done.rows()), done.read_manifest()["result"]
    told = [row["feedback/informative"] for row in rows if "feedback/informative" in row]
    return {
        "seed": run.seed,
        "return": result["return_mean"],
        "before": result["before"]["return_mean"],
        "labels": rows[-1].get("feedback/labels", 0),
        "informative": told[-1] if told else None,
        "rested": sum(row.get("policy/rested", 0) for row in rows) / len(rows),
        "steps": rows[-1]["timesteps"],
        "cpu_seconds": seconds,
        "commit": commit(),
        "date": today(),
    }


def commit() -> str:
    """What is measured; with a + where files differ from it."""
    git = ["git", "-C", str(EXAMPLES)]
    try:
        name = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "-uno", "../src", "."], capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name.stdout.strip() + ("+" if changed.stdout else "")


Kept = dict[str, dict[str, list[dict[str, Any]]]]
"""Runs by task and column."""


def recorded() -> Kept:
    """The runs measured so far."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


def keep(run: Run, found: dict[str, Any]) -> None:
    """Put a run into the results, in place of one of its seed, and write the tables again."""
    kept = recorded()
    column = kept.setdefault(run.task, {}).setdefault(run.column, [])
    column[:] = sorted(
        [*(one for one in column if one["seed"] != run.seed), found], key=lambda one: one["seed"]
    )
    RESULTS.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "preferences.md").write_text(page(kept), encoding="utf-8")


def page(kept: Kept) -> str:
    """All tables."""
    parts = [
        "# What plaudit learns from comparisons",
        "True returns (the environment's own reward, undiscounted) by likeliest actions. The person is simulated, "
        "compares segments by their true return and, but where it says so, is never wrong; the policy never sees that "
        "reward. `PPO`: the same config on the reward itself, at the same steps. Means over seeds with a 95 % "
        "t-interval; of the share, a bootstrap interval over the seeds of both. `differ`: the share of the pairs asked "
        "about whose true returns differ. CPU: seconds of a run with one thread, evaluation included, against PPO's.",
        table(kept),
        "## Published",
        "\n".join(f"- {task.title}: {task.published}." for task in TASKS if task.published),
    ]
    for column in COLUMNS[2:]:
        if any(column.name in columns for columns in kept.values()):
            parts += [f"## {column.says[0].upper()}{column.says[1:]}", changed(kept, column)]
    parts += [f"Made by `python -m benchmarks.preferences`. {described(*PACKAGES)}."]
    return "\n\n".join(parts) + "\n"


def table(kept: Kept) -> str:
    """What is learned from comparisons beside what the reward gives."""
    heads = ["task", "comparisons", "steps", "each seed", "mean", "worst", "PPO: each seed", "mean", "share",
             "differ", "CPU s", "of PPO's", "required", "commit"]  # fmt: skip
    lines = [heads, ["---"] * len(heads)]
    for task in TASKS:
        runs = kept.get(task.name, {}).get("comparisons", [])
        own = kept.get(task.name, {}).get("reward", [])
        if not runs:
            continue
        seconds = mean(one["cpu_seconds"] for one in runs)
        differ = [one["informative"] for one in runs]
        lines.append([
            task.title, str(runs[0]["labels"]), f"{runs[0]['steps']:,}", *_returns(runs),
            f"{min(one['return'] for one in runs):.0f}", *(_returns(own) if own else ["", ""]),
            share(runs, own) if own and task.share else "", f"{min(differ):.0%}", f"{seconds:.0f}",
            f"{seconds / mean(one['cpu_seconds'] for one in own):.2f}" if own else "", verdict(task, runs, own),
            " ".join(sorted({one["commit"] for one in [*runs, *own]})),
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def changed(kept: Kept, column: Column) -> str:
    """What one change costs."""
    heads = [
        "task",
        "comparisons",
        "before",
        "each seed",
        "mean",
        "unchanged",
        "PPO",
        "policy at rest",
        "commit",
    ]
    lines = [heads, ["---"] * len(heads)]
    for task in TASKS:
        columns = kept.get(task.name, {})
        runs = columns.get(column.name, [])
        if not runs:
            continue
        others = [columns.get(name, []) for name in ("comparisons", "reward")]
        lines.append([
            task.title, str(runs[0]["labels"]), f"{mean(one['before'] for one in runs):.0f}", *_returns(runs),
            *(f"{mean(one['return'] for one in other):.0f}" if other else "" for other in others),
            f"{mean(one['rested'] for one in runs):.0%}", " ".join(sorted({one["commit"] for one in runs})),
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _returns(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Of each seed, and their mean with its interval."""
    from plaudit.runs.statistics import mean_interval

    values = [one["return"] for one in runs]
    middle, low, high = mean_interval(values)
    spread = f" ({low:.0f} to {high:.0f})" if len(values) > 1 else " (one seed)"
    return [", ".join(f"{value:.0f}" for value in values), f"{middle:.0f}{spread}"]


def share(runs: Sequence[dict[str, Any]], own: Sequence[dict[str, Any]]) -> str:
    """The mean as a share of PPO's mean, with a 95 % bootstrap interval over the seeds of both."""
    draws = np.random.default_rng(0)
    sampled = [
        draws.choice([one["return"] for one in part], (10_000, len(part))).mean(1) for part in (runs, own)
    ]
    low, high = np.quantile(sampled[0] / sampled[1], (0.025, 0.975))
    return f"{ratio(runs, own):.0%} ({low:.0%} to {high:.0%})"


def ratio(runs: Sequence[dict[str, Any]], own: Sequence[dict[str, Any]]) -> float:
    """Of the mean returns."""
    return mean(one["return"] for one in runs) / mean(one["return"] for one in own)


def verdict(task: Task, runs: Sequence[dict[str, Any]], own: Sequence[dict[str, Any]]) -> str:
    """Whether the row reaches what is required of it."""
    least = min(one["informative"] for one in runs)
    told = [] if least >= INFORMATIVE else [f"pairs that differ >= {INFORMATIVE:.0%}: NO"]
    if task.required is not None:
        reached = mean(one["return"] for one in runs) >= task.required
        told.append(f"mean >= {task.required:g}: {'yes' if reached else 'NO'}")
    elif task.share is not None and own:
        told.append(f"share >= {task.share:.0%}: {'yes' if ratio(runs, own) >= task.share else 'NO'}")
    return "; ".join(told)


def wanted(tasks: Sequence[str], columns: Sequence[str], seeds: int, again: bool) -> list[Run]:
    """The runs to make, seed 0 of everything first; those that were made only where it is said."""
    kept = {} if again else recorded()
    runs = [
        Run(task, column.name, seed)
        for seed in range(seeds)
        for column in COLUMNS
        for task in column.tasks
        if task in tasks and column.name in columns
    ]
    return [
        run for run in runs
        if run.seed not in {one["seed"] for one in kept.get(run.task, {}).get(run.column, [])}
    ]  # fmt: skip


def main() -> int:
    """Measure, and fail where a requirement is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=list(BY_NAME), help="a task; default: all")
    parser.add_argument("--column", action="append", choices=list(COLUMN),
                        help="what people say; default: comparisons and reward")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=5, help="seeds of each row")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--again", action="store_true", help="also what was measured before")
    given = parser.parse_args()
    columns = given.column or ["comparisons", "reward"]
    for run, found in side_by_side(measure, wanted(given.only or list(BY_NAME), columns, given.seeds, given.again),
                                   given.jobs):  # fmt: skip
        keep(run, found)
        print(f"{run.task:13} {run.column:12} seed {run.seed}: {found['return']:8.1f}"
              f"  {found['cpu_seconds']:6.1f} CPU s", flush=True)  # fmt: skip
    text = page(recorded())
    print(text)
    return 1 if "NO" in text else 0


if __name__ == "__main__":
    sys.exit(main())
