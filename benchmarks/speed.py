"""Speed beside Stable-Baselines3: PPO on CartPole, same settings, same minutes, same machine.

    python -m benchmarks.speed [--pairs 5]

Each pair runs plaudit and Stable-Baselines3 one after the other (the order alternates), each in a fresh
process with one thread. Counted are CPU seconds of learning, without imports and evaluation.
Writes results/speed.md.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.machine import EXAMPLES, RESULTS, described

PACKAGES = ("plaudit", "stable-baselines3", "torch", "numpy", "gymnasium")


@dataclass(frozen=True)
class Timing:
    """CPU seconds of one run."""

    learning: float
    """All of learning."""
    collecting: float
    """Acting in the environments and scoring what happened."""
    updating: float
    """Gradient steps."""
    true_return: float
    """Mean of 50 episodes afterwards, with the likeliest actions: fast and wrong does not count."""


def plaudit(seed: int) -> Timing:
    """Our CartPole example, through the pipeline: metrics and checkpoints are written as in any run."""
    import torch

    from plaudit.environments.control.rollouts import ControlRollouts
    from plaudit.runs import config, settings
    from plaudit.stages import optimise
    from plaudit.trainers.on_policy import Updater

    torch.set_num_threads(1)
    made = config.from_mapping(
        settings.load_yaml(EXAMPLES / "cartpole.yaml") | {"seed": seed}, "cartpole.yaml"
    )
    spent = {"collecting": 0.0, "updating": 0.0}
    ControlRollouts.collect = _timed(ControlRollouts.collect, spent, "collecting")
    ControlRollouts.episodes = _timed(ControlRollouts.episodes, spent, "collecting")
    Updater.update = _timed(Updater.update, spent, "updating")
    ends = [0.0]  # when each update was done: the last one ends the learning
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        done = optimise.start(
            made, Path(folder) / "run", lambda row: ends.append(time.process_time() - began)
        )
        true_return = done.read_manifest()["result"]["return_mean"]
    return Timing(ends[-1], **spent, true_return=true_return)


def stable_baselines3(seed: int) -> Timing:
    """The same settings in Stable-Baselines3, with its defaults for everything else."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(1)
    spent = {"collecting": 0.0, "updating": 0.0}
    PPO.collect_rollouts = _timed(PPO.collect_rollouts, spent, "collecting")
    PPO.train = _timed(PPO.train, spent, "updating")
    began = time.process_time()
    model = PPO(
        "MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=seed), seed=seed, device="cpu",
        n_steps=32, batch_size=256, n_epochs=20, gamma=0.98, gae_lambda=0.8,
        learning_rate=lambda left: 1e-3 * left, clip_range=lambda left: 0.2 * left,
    )  # fmt: skip
    model.learn(100_000)
    learning = time.process_time() - began
    true_return, _ = evaluate_policy(model, make_vec_env("CartPole-v1", n_envs=8, seed=seed + 1000), 50)
    return Timing(learning, **spent, true_return=float(true_return))  # pyright: ignore[reportArgumentType]


LIBRARIES = {"plaudit": plaudit, "stable_baselines3": stable_baselines3}


def _timed(function: Any, spent: dict[str, float], name: str) -> Any:
    """The function, adding its CPU seconds to spent[name]."""

    def timed(*given: Any, **named: Any) -> Any:
        began = time.process_time()
        try:
            return function(*given, **named)
        finally:
            spent[name] += time.process_time() - began

    return timed


def in_a_process(library: str, seed: int) -> Timing:
    """One run of a library, in a fresh process with one thread."""
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [sys.executable, "-m", "benchmarks.speed", "--one", library, "--seed", str(seed)]
    done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{library} failed:\n{done.stderr}")
    timing = Timing(**json.loads(done.stdout.splitlines()[-1]))
    print(
        f"{library:18} seed {seed}: {timing.learning:5.1f} CPU s, return {timing.true_return:.0f}", flush=True
    )
    return timing


def interleaved(pairs: int) -> dict[str, list[Timing]]:
    """Timings of both libraries, pair by pair; who goes first alternates."""
    timings: dict[str, list[Timing]] = {name: [] for name in LIBRARIES}
    for seed in range(pairs):
        for library in sorted(LIBRARIES, reverse=bool(seed % 2)):
            timings[library].append(in_a_process(library, seed))
    return timings


def table(timings: dict[str, list[Timing]]) -> str:
    """Both libraries beside each other, and the ratio of each pair, as Markdown."""
    ours, theirs = timings["plaudit"], timings["stable_baselines3"]
    names = {
        "learning": "learning in all",
        "collecting": "collecting behaviour",
        "updating": "gradient steps",
    }
    lines = [
        "# How fast plaudit learns",
        "",
        "PPO on CartPole-v1: 8 environments x 32 steps, 20 epochs, minibatch 256, 100,000 steps, 2 x 64-64.",
        f"CPU seconds: medians of {len(ours)} pairs run in turn, one thread each. "
        "Ratio: theirs to ours in each pair, median (least to largest).",
        "",
        "| | plaudit | Stable-Baselines3 | their time to ours |",
        "|---|---|---|---|",
    ]
    for field in fields(Timing)[:3]:
        us, them = ([getattr(t, field.name) for t in side] for side in (ours, theirs))
        ratio = [b / a for a, b in zip(us, them, strict=True)]
        spread = f"{median(ratio):.2f} ({min(ratio):.2f} to {max(ratio):.2f})"
        lines.append(f"| {names[field.name]} | {median(us):.2f} | {median(them):.2f} | {spread} |")
    rest = median(t.learning - t.collecting - t.updating for t in ours)
    reached = [f"{mean(t.true_return for t in side):.0f}" for side in (ours, theirs)]
    lines += [
        f"| mean true return afterwards | {reached[0]} | {reached[1]} | |",
        "",
        f"The remaining {rest:.2f} s of ours are set-up, metrics and checkpoints.",
        "",
        f"Made by `python -m benchmarks.speed`. {described(*PACKAGES)}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure both, or one run of one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs")
    parser.add_argument("--one", choices=sorted(LIBRARIES), help="run one library once and print JSON")
    parser.add_argument("--seed", type=int, default=0, help="seed of that one run")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(vars(LIBRARIES[given.one](given.seed))))
        return 0
    if importlib.util.find_spec("stable_baselines3") is None:
        print("speed: stable-baselines3 is not installed, so there is nothing to compare with; "
              "install it with: pip install stable-baselines3==2.9.2")  # fmt: skip
        return 0
    text = table(interleaved(given.pairs))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
