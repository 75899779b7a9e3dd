"""The language half over several seeds: the demo, and a case in which a reward model is over-optimised.

    python -m benchmarks.language [--only demo grpo rloo dpo over_optimised] [--seeds 3] [--jobs 2]

`demo`: what `plaudit demo --only language` does. `grpo`, `rloo`: the same people and budget, by groups of 8 answers
to a prompt in place of a critic. `dpo`: the demo's 400 comparisons as pairs of a file, and no reward model.
`over_optimised`: the demo with 60 labels of which a quarter are wrong and hardly a price for KL; held-out judgements
(wrong as often) decide which policy is kept. Every run goes
through `plaudit.stages`, in a process of its own with one thread. The table is written to
results/language.md; exit status 1 where anything must not be.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, described, merged
from plaudit.runs.folder import RunFolder

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
"""What differs from the demo where the reward model is over-optimised."""
ALONE = {"critic": "none", "shaping": {"temperature": 0.7}}
"""The demo's policy without a critic."""
OTHERS: dict[str, dict[str, Any]] = {
    "grpo": {"algorithm": "grpo", "settings": {"kl": {"coef": 0.05}}, "policy": ALONE},
    "rloo": {"algorithm": "rloo", "settings": {"kl": {"coef": 0.05}}, "policy": ALONE},
    "dpo": {"algorithm": "dpo", "settings": {}, "policy": ALONE},
}
"""The algorithms besides PPO, instead of what the demo says."""
KEPT = ("environment", "start", "gold_reward", "evaluate_count", "seed")
"""Of the demo, what a run without feedback has too."""


def runs(names: Sequence[str], seed: int, keep: Path | None = None) -> dict[str, dict[str, Any]]:
    """One seed of every case, all from one taught model; what came out, in plain numbers."""
    import torch

    from plaudit.stages import demo
    from plaudit.stages.pretrain import pretrain

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep / str(seed) if keep is not None else Path(temporary)
        place, began, found = folder, time.process_time(), {}
        for part in demo.pretraining(folder, seed):
            place = part.folder
            pretrain(part.config, "service", place, lambda row: None)
        taught = time.process_time() - began
        for name in names:
            began = time.process_time()
            done = optimised(name, place, folder, seed)
            spent = {"lessons_s": taught, "run_s": time.process_time() - began}
            found[name] = {"seed": seed} | spent | done.read_manifest()["result"]
            if name == "over_optimised":
                found[name]["curve"] = curve(list(done.rows()))
        return found


def optimised(name: str, taught: Path, folder: Path, seed: int) -> RunFolder:
    """A case's run, with the model as it was taught."""
    from plaudit.runs import config as configs
    from plaudit.runs import settings
    from plaudit.stages import demo, optimise
    from plaudit.stages.export import export_feedback

    config = settings.dump(demo.language(taught, seed))
    if name == "over_optimised":
        config = merged(config, OVER)
    if name in ("grpo", "rloo"):
        config = merged(config, {"environment": {"num_generations": 8}}) | OTHERS[name]
    if name == "dpo":
        pairs = folder / "pairs.jsonl"
        export_feedback(folder / "demo", pairs, form="trl")
        config = {key: config[key] for key in KEPT} | OTHERS[name] | {"pairs": str(pairs)}
    return optimise.start(configs.from_mapping(config, name), folder / name, lambda row: None)


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
    """Win rate over the model it started from."""
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


CASES = {
    "demo": demo_table,
    "grpo": demo_table,
    "rloo": demo_table,
    "dpo": demo_table,
    "over_optimised": over_table,
}
HEADS = {
    "demo": "Win rate of PPO over the model it started from, on held-out prompts, by the rubric nobody learned from.",
    "grpo": "The same people and budget; 8 answers to each prompt are compared with each other, without a critic.",
    "rloo": "The same, each answer against the mean of the other seven.",
    "dpo": "The same 400 comparisons, by DPO from a file: no reward model, no rollouts.",
    "over_optimised": str(over_table.__doc__),
}


def missed(name: str, found: Sequence[dict[str, Any]]) -> list[str]:
    """What must not be."""
    return [
        f"{name}, seed {r['seed']}: {what}" for r in found for what, holds in FAULTS[name](r).items() if holds
    ]


def _demo_faults(r: dict[str, Any]) -> dict[str, bool]:
    return {
        "better than before in less than .80": r["win_rate"] < 0.8,
        "its interval begins below .70": r["win_low"] < 0.7,
    }


def _no_rise(r: dict[str, Any]) -> dict[str, bool]:
    return {"the gold reward did not rise": r["gold_reward_mean"] <= r["before"]["gold_reward_mean"]}


def _dpo_faults(r: dict[str, Any]) -> dict[str, bool]:
    return {"better than before in less than .65": r["win_rate"] < 0.65}


def _over_faults(r: dict[str, Any]) -> dict[str, bool]:
    start, *_, end = golds = [point[3] for point in r["curve"]]
    kept = next(point[3] for point in r["curve"] if point[0] == r["kept_update"])
    return {
        "the gold reward does not rise, then fall": not start < max(golds) > end,
        "less than 90 % of the peak was kept": kept < 0.9 * max(golds),
    }


FAULTS: dict[str, Callable[[dict[str, Any]], dict[str, bool]]] = {
    "demo": _demo_faults,
    "grpo": _no_rise,
    "rloo": _no_rise,
    "dpo": _dpo_faults,
    "over_optimised": _over_faults,
}


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
    parts, faults = (
        [f"# Language: the demo, other algorithms on it, and over-optimisation\n\n{described(*PACKAGES)}.\n"],
        [],
    )
    for name in given.only:
        of_case = [of_seed[name] for of_seed in found]
        table, faults = CASES[name](of_case), faults + missed(name, of_case)
        parts.append("\n".join([f"## {name}", "", HEADS[name], "", *table, ""]))
    text = "\n".join(parts)
    print("\n".join([text, *faults]))
    if set(given.only) == set(CASES):
        (RESULTS / "language.md").write_text(text, encoding="utf-8")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
