"""The learning table: what plaudit learns from its example configs, over several seeds.

    python -m benchmarks.control [--only NAME] [--seeds 5] [--jobs 2]

Every run goes through `plaudit.stages` as `plaudit run` does, in a process of its own with one thread.
Results are kept in benchmarks/results/control.json, row by row, and written as a table to control.md.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.machine import EXAMPLES, RESULTS, described, merged, today
from benchmarks.side_by_side import side_by_side

DEMONSTRATIONS = Path(__file__).parents[2] / "shared" / "data" / "control_demos" / "cartpole-v1.npz"
PACKAGES = ("plaudit", "torch", "numpy", "gymnasium", "mujoco", "box2d")


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    name: str
    example: str
    """The config in examples/; for a clone, only its environment counts."""
    learns_from: str
    """What the learner is given, in words."""
    required: float | None = None
    """The true return it must reach; none: shown without a requirement."""
    by: Literal["mean", "worst"] = "mean"
    """Whether the mean over seeds must reach it, or every seed."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields that differ from the example."""
    episodes: int = 0
    """Demonstrated episodes it learns from."""
    clone: bool = False
    """They are cloned; otherwise the example learns from them."""
    long: bool = False
    """Takes minutes per seed: only run when asked for by name."""
    published: str = ""
    """What others report for these settings and this many steps, and who."""


def _people(**flaws: float) -> dict[str, Any]:
    return {"feedback": {"people": [flaws]}}


def _kinds(*kinds: str) -> dict[str, Any]:
    """As many answers of each kind, of a person who makes no mistakes."""
    return {"feedback": {"kinds": dict.fromkeys(kinds, 1.0)}}


REWARD, COMPARISONS = "the environment's reward", "{labels} comparisons, no reward"
CASES = (
    Case("cartpole", "cartpole", REWARD, 475, "worst"),
    Case("cartpole_reinforce", "reinforce_cartpole", REWARD),
    Case("cartpole_rloo", "rloo_cartpole", REWARD),
    Case("cartpole_grpo", "grpo_cartpole", REWARD),
    Case("cartpole_trpo", "trpo_cartpole", REWARD, 475, "worst"),
    Case("cartpole_es", "es_cartpole", REWARD, 475, "worst"),
    Case("cartpole_gail", "gail_cartpole", "10 expert episodes", 400, "worst", episodes=10),
    Case("cartpole_clone", "cartpole", "10 expert episodes", 450, episodes=10, clone=True),
    Case("pendulum", "pendulum", REWARD, -200),
    Case("acrobot", "acrobot", REWARD, -95),
    Case("taxi", "taxi", REWARD + " and which actions are legal", 7),
    Case("preferences", "pendulum_preferences", COMPARISONS, -200),
    Case("preferences_mistakes", "pendulum_preferences", COMPARISONS + ", one in ten wrong", -250,
         changes=_people(mistake=0.1)),
    Case("preferences_expected", "pendulum_preferences", COMPARISONS + ", one in ten wrong, which it expects", -250,
         changes=_people(mistake=0.1) | {"reward": {"likelihood": {"label_noise": 0.2}}}),
    Case("preferences_few", "pendulum_preferences", COMPARISONS,
         changes={"feedback": {"labels": 50, "first": 20}}),
    Case("ratings", "pendulum_preferences", "{labels} ratings, no reward", -250, "worst",
         changes=_kinds("rating")),
    Case("rankings", "pendulum_preferences", "{labels} rankings, no reward", -250, "worst",
         changes=_kinds("ranking")),
    Case("several_kinds", "pendulum_preferences",
         "{labels} comparisons, ratings, rankings and thumbs, no reward", -250, "worst",
         changes=_kinds("comparison", "rating", "ranking", "binary")),
    Case("preferences_coins", "pendulum_preferences", COMPARISONS + ", all coin flips: must not learn",
         changes=_people(mistake=0.5)),
    Case("lunar_lander", "lunar_lander", REWARD, 200, long=True, published="242 +- 32 (rl-baselines3-zoo)"),
    Case("mountain_car", "mountain_car", REWARD, long=True, published="-110 +- 19 (rl-baselines3-zoo)"),
    Case("mountain_car_continuous", "mountain_car_continuous", REWARD, 88, long=True,
         published="88 +- 3 (rl-baselines3-zoo)"),
    Case("swimmer", "swimmer", REWARD, long=True, published="282 +- 10 (rl-baselines3-zoo)"),
    Case("half_cheetah", "half_cheetah", REWARD, long=True, published="5784 +- 1244 (tianshou)"),
    Case("hopper", "hopper", REWARD, long=True, published="2609 +- 701 (tianshou)"),
    Case("walker2d", "walker2d", REWARD, long=True, published="3589 +- 757 (tianshou)"),
    Case("bipedal_walker", "bipedal_walker", REWARD, long=True, published="213 to 287 (rl-baselines3-zoo)"),
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """One run."""

    case: Case
    seed: int
    demonstrations: Path


def run(work: Work) -> dict[str, Any]:
    """One run in this process: its true return, and the CPU seconds of it all."""
    import torch

    case, seed, demonstrations = work.case, work.seed, work.demonstrations

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        shown = _first(case.episodes, demonstrations, Path(folder)) if case.episodes else None
        done = (
            _clone(case, seed, demonstrations, folder) if case.clone else _optimise(case, seed, folder, shown)
        )
        return {"seed": seed, **done, "cpu_seconds": time.process_time() - began}


def _first(episodes: int, demonstrations: Path, folder: Path) -> Path:
    """The first episodes of a file, as a file."""
    with np.load(demonstrations) as arrays:
        ends = [*np.flatnonzero(arrays["episode_starts"]), len(arrays["episode_starts"])]
        part = {name: array[: ends[episodes]] for name, array in arrays.items() if len(array) == ends[-1]}
    np.savez(folder / "shown.npz", **part)
    return folder / "shown.npz"


def _optimise(case: Case, seed: int, folder: str, demonstrations: Path | None) -> dict[str, Any]:
    from plaudit.runs import config, settings
    from plaudit.stages import optimise

    path = EXAMPLES / f"{case.example}.yaml"
    shown = {"reward": {"demonstrations": str(demonstrations)}} if demonstrations else {}
    mapping = merged(settings.load_yaml(path), case.changes | shown | {"seed": seed})
    made = config.from_mapping(mapping, f"{path} as {case.name}")
    done = optimise.start(made, Path(folder) / "run", lambda row: None)
    last = list(done.rows())[-1]
    return {
        "environment": mapping["environment"]["id"],
        "algorithm": (made.reward.discriminator or made.algorithm).upper(),
        "return": done.read_manifest()["result"]["return_mean"],
        "labels": last.get("feedback/labels", 0),
        "steps": last["timesteps"],
    }


def _clone(case: Case, seed: int, demonstrations: Path, folder: str) -> dict[str, Any]:
    from plaudit.environments.control.config import Control
    from plaudit.runs import config
    from plaudit.stages.pretrain import pretrain
    from plaudit.stages.pretrain_config import PretrainControl

    environment = config.load(EXAMPLES / f"{case.example}.yaml").environment
    assert isinstance(environment, Control)
    plan = PretrainControl(environment, episodes=case.episodes, seed=seed)
    result = pretrain(plan, str(demonstrations), Path(folder) / "clone", lambda row: None)
    return {
        "environment": environment.id,
        "algorithm": "BC",
        "return": result["return_mean"],
        "labels": 0,
        "steps": 0,
    }


def chosen(only: Sequence[str], demonstrations: Path) -> list[Case]:
    """The cases to run; says which are left out and why."""
    unknown = set(only) - {case.name for case in CASES}
    if unknown:
        sys.exit(
            f"--only {sorted(unknown)[0]}: no such row; there are {', '.join(case.name for case in CASES)}"
        )
    cases = [case for case in CASES if case.name in only or (not only and not case.long)]
    if not demonstrations.exists() and any(case.episodes for case in cases):
        print(f"cloning is left out: there are no demonstrations at {demonstrations} (see --demonstrations)")
        cases = [case for case in cases if not case.episodes]
    return cases


def measure(
    cases: Sequence[Case], seeds: int, jobs: int, demonstrations: Path
) -> dict[str, list[dict[str, Any]]]:
    """Run all cases and seeds, `jobs` at a time, each in a fresh process; results by case."""
    results: dict[str, list[dict[str, Any]]] = {case.name: [] for case in cases}
    # seed 0 of every row first: long rows then have something to show early
    work = [Work(case, seed, demonstrations) for seed in range(seeds) for case in cases]
    for done, row in side_by_side(run, work, jobs):
        name = done.case.name
        results[name].append(row)
        print(
            f"{name:22} seed {row['seed']}: {row['return']:8.1f}  {row['cpu_seconds']:6.1f} CPU s", flush=True
        )
        if len(results[name]) == seeds or len(results[name]) > len(recorded().get(name, {}).get("runs", [])):
            keep(name, sorted(results[name], key=lambda r: r["seed"]))
    return results


def keep(name: str, runs: list[dict[str, Any]]) -> None:
    """Put a row, or as many seeds of it as no row before had, into the results, and write the table again."""
    rows = recorded() | {name: {"date": today(), "runs": runs}}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "control.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "control.md").write_text(table(rows), encoding="utf-8")


def recorded() -> dict[str, Any]:
    """The rows measured so far."""
    path = RESULTS / "control.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def table(rows: dict[str, Any]) -> str:
    """All measured rows as Markdown."""
    lines = [
        "# What plaudit learns",
        "",
        "True returns: the environment's own reward, undiscounted; mean of 50 episodes, likeliest actions.",
        "Mean over seeds with its 95 % t-interval. CPU seconds of one run, one thread, evaluation included.",
        "Published: rl-baselines3-zoo reports one run with its spread over episodes, tianshou ten seeds with theirs "
        "(MuJoCo tasks of version 3).",
        "",
        "| environment | algorithm | learns from | steps | true return of each seed | mean | 95 % interval "
        "| worst | CPU s | required | published | date |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(case, rows[case.name]) for case in CASES if case.name in rows]
    lines += ["", f"Made by `python -m benchmarks.control`. {described(*PACKAGES)}."]
    return "\n".join(lines) + "\n"


def _line(case: Case, row: dict[str, Any]) -> str:
    from plaudit.runs.statistics import mean_interval

    runs = row["runs"]
    returns = [run["return"] for run in runs]
    mean, low, high = mean_interval(returns)
    seconds = [run["cpu_seconds"] for run in runs]
    cells = [
        runs[0]["environment"],
        runs[0]["algorithm"],
        case.learns_from.format(labels=runs[0]["labels"]),
        f"{runs[0]['steps']:,}" if runs[0]["steps"] else "",
        ", ".join(f"{value:.0f}" for value in returns),
        f"{mean:.1f}",
        f"{low:.1f} to {high:.1f}" if len(runs) > 1 else "(one seed)",
        f"{min(returns):.1f}",
        f"{sum(seconds) / len(seconds):.1f}",
        _verdict(case, mean, min(returns)),
        case.published,
        row["date"],
    ]
    return "| " + " | ".join(cells) + " |"


def _verdict(case: Case, mean: float, worst: float) -> str:
    if case.required is None:
        return ""
    who, reached = ("every seed", worst) if case.by == "worst" else ("mean", mean)
    return f"{who} >= {case.required:g}: {'yes' if reached >= case.required else 'NO'}"


def main() -> int:
    """Measure, and fail where a requirement is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], help="a row by name; default: all short ones")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of each row")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument(
        "--demonstrations", type=Path, default=DEMONSTRATIONS, help="CartPole episodes to clone"
    )
    given = parser.parse_args()
    cases = chosen(given.only, given.demonstrations)
    measure(cases, given.seeds, given.jobs, given.demonstrations)
    text = table({case.name: recorded()[case.name] for case in cases})
    print(text)
    return 1 if ": NO |" in text else 0


if __name__ == "__main__":
    sys.exit(main())
