"""The language half over several seeds: the demo, and a case in which a reward model is over-optimised.

    python -m benchmarks.language [--only demo over_optimised] [--seeds 3] [--jobs 2]

`demo`: what `plaudit demo --only language` does. `over_optimised`: the same model, but 60 labels of which a quarter
are wrong and hardly a price for KL; held-out judgements (wrong as often) decide which policy is kept. Every run goes
through `plaudit.stages`, in a process of its own with one thread. The table is written to
results/language.md; exit status 1 where anything must not be.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, described, merged

PACKAGES = ("plaudit", "torch", "transformers", "tokenizers")
OVER = {
    "settings": {"kl": {"coef": 0.002}},
    "policy": {"shaping": {"temperature": 1.0}},
    "feedback": {"labels": 60, "first": 60, "rounds": 0, "people": [{"mistake": 0.25}]},
    "trainer": {"learning_rate": 1.0e-4, "schedule": "constant"},
    "updates": 60,
    "win_rate_check": {"every": 2, "judgements": 400, "stop": True, "patience": 6},
    "evaluate_every": 2,
    "evaluate_count": 600,
}
"""What differs from the demo."""


def runs(names: Sequence[str], seed: int, keep: Path | None = None) -> dict[str, dict[str, Any]]:
    """One seed of every case, all from one taught model; what came out, in plain numbers."""
    import torch

    from plaudit.runs import config as configs
    from plaudit.runs import settings
    from plaudit.stages import demo, optimise
    from plaudit.stages.pretrain import pretrain

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep / str(seed) if keep is not None else Path(temporary)
        place, began, found = folder, time.process_time(), {}
        for lesson in demo.lessons(folder, seed):
            place = lesson.folder
            pretrain(lesson.config, "service", place, lambda row: None)
        taught = time.process_time() - began
        for name in names:
            began = time.process_time()
            config = settings.dump(demo.language(place, seed))
            if name == "over_optimised":
                config = merged(config, OVER)
            done = optimise.start(configs.from_mapping(config, name), folder / name, lambda row: None)
            spent = {"lessons_s": taught, "run_s": time.process_time() - began}
            found[name] = (
                {"seed": seed} | spent | done.read_manifest()["result"] | {"curve": curve(list(done.rows()))}
            )
        return found


def curve(rows: Sequence[dict[str, Any]]) -> list[tuple[int, float, float, float]]:
    """(update, KL, proxy reward, gold reward) of every evaluation, the start first."""
    points = [(0, 0.0, rows[0]["start/proxy_reward_mean"], rows[0]["start/gold_reward_mean"])]
    for row in rows:
        if "eval/gold_reward_mean" in row:
            points.append(
                (
                    row["update"],
                    row["eval/kl_per_answer"],
                    row["eval/proxy_reward_mean"],
                    row["eval/gold_reward_mean"],
                )
            )
    return points


def demo_table(found: Sequence[dict[str, Any]]) -> list[str]:
    """Win rate of PPO over the model it started from, on held-out prompts, by the rubric nobody learned from."""
    lines = [
        "| seed | better than before (95 %) | ties | gold reward | KL per answer | tokens | CPU s: lessons, run |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in found:
        lines.append(
            f"| {r['seed']} | {r['win_rate']:.3f} ({r['win_low']:.3f} to {r['win_high']:.3f}) | {r['win_ties']:.2f} "
            f"| {r['before']['gold_reward_mean']:.2f} -> {r['gold_reward_mean']:.2f} | {r['kl_per_answer']:.1f} "
            f"| {r['before']['tokens']:.0f} -> {r['tokens']:.0f} | {r['lessons_s']:.0f}, {r['run_s']:.0f} |"
        )
    return lines


def over_table(found: Sequence[dict[str, Any]]) -> list[str]:
    """Where the gold reward peaked, where it ended, and what the held-out judgements kept of it."""
    lines = [
        "| seed | start | peak (update) | end (update) | proxy: both | kept (update) | share of it | of its gain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in found:
        points = r["curve"]
        start, end = points[0], points[-1]
        peak = max(points, key=lambda p: p[3])
        kept = next(p for p in points if p[0] == r["kept_update"])
        share = (kept[3] - start[3]) / (peak[3] - start[3])
        lines.append(
            f"| {r['seed']} | {start[3]:.2f} | {peak[3]:.2f} ({peak[0]}) | {end[3]:.2f} ({end[0]}) "
            f"| {peak[2]:.2f}, {end[2]:.2f} | {kept[3]:.2f} ({kept[0]}) | {kept[3] / peak[3]:.2f} | {share:.2f} |"
        )
    return lines


CASES = {"demo": demo_table, "over_optimised": over_table}


def missed(name: str, found: Sequence[dict[str, Any]]) -> list[str]:
    """What must not be."""
    faults = []
    for r in found:
        points = r["curve"]
        start, peak, end = points[0][3], max(p[3] for p in points), points[-1][3]
        kept = next(p[3] for p in points if p[0] == r["kept_update"]) if name == "over_optimised" else peak
        wrong = {
            "demo": {
                "better than before in less than .80": r["win_rate"] < 0.8,
                "its interval begins below .70": r["win_low"] < 0.7,
            },
            "over_optimised": {
                "the gold reward does not rise, then fall": not start < peak > end,
                "less than 90 % of the peak was kept": kept < 0.9 * peak,
            },
        }
        faults += [f"{name}, seed {r['seed']}: {what}" for what, holds in wrong[name].items() if holds]
    return faults


def main() -> int:
    """Run the cases and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="keep the run folders here")
    given = parser.parse_args()
    work = partial(runs, given.only, keep=given.keep)
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.jobs, mp_context=fresh, max_tasks_per_child=1) as pool:
        found = list(pool.map(work, range(given.seeds)))
    parts, faults = [f"# Language: the demo and over-optimisation\n\n{described(*PACKAGES)}.\n"], []
    for name in given.only:
        of_case = [of_seed[name] for of_seed in found]
        table, faults = CASES[name](of_case), faults + missed(name, of_case)
        parts.append("\n".join([f"## {name}", "", str(CASES[name].__doc__), "", *table, ""]))
    text = "\n".join(parts)
    print("\n".join([text, *faults]))
    if set(given.only) == set(CASES):
        (RESULTS / "language.md").write_text(text, encoding="utf-8")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
