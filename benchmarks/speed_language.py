"""Speed of one PPO update of a small language model, beside a peer's on the same machine.

    python -m benchmarks.speed_language [--pairs 5] [--updates 3] [--threads 2] [--peer COMMAND]

GPT-2 with 4 layers of width 256 and 1,024 entries: 64 prompts of 16 random tokens, answers of 48 tokens (none of
them ends one), a reference copy, a reward model of the same size, 4 epochs of minibatches of 16 answers. Counted
is a whole update: answers, scores, gradient steps; imports, set-up and the first update are not.

COMMAND runs the peer once, on as many threads as OMP_NUM_THREADS says. Its last line is a JSON object with `wall_all`
and `cpu_all` (seconds of each update), `memory_mb` ({"imported": {"now"}, "end": {"peak"}}, MiB of its process),
which is what `--one` prints too, and `name`: what it ran. In each round the peer and every variant run one after the
other, in fresh processes; who begins alternates. A variant in bfloat16 is left out where the processor has no
products in it. Writes results/speed_language.md.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import RESULTS, described

PACKAGES = ("plaudit", "torch", "transformers", "numpy")
PROMPTS, PROMPT, ANSWER, VOCABULARY, EPOCHS, MINIBATCH = 64, 16, 48, 1024, 4, 16
VARIANTS: dict[str, dict[str, Any]] = {
    "separate critic, float32": {"critic": "separate"},
    "shared trunk, float32": {"critic": "shared"},
    "shared trunk, bfloat16": {"critic": "shared", "dtype": "bfloat16"},
}
"""What differs between the policies that are measured."""
PEER = "peer"
PARTS = ("wall", "cpu", "peak", "own")
"""What the table shows of a Timing."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Timing:
    """One process: medians over its updates."""

    wall: float
    """Seconds of an update."""
    cpu: float
    """CPU seconds of an update, of all threads."""
    peak: float
    """Most memory of the process, MiB."""
    imported: float
    """Memory after the imports, MiB."""

    @property
    def own(self) -> float:
        """Most memory beyond the imports, MiB."""
        return self.peak - self.imported

    @classmethod
    def of(cls, found: dict[str, Any]) -> "Timing":
        """From what a process has printed."""
        return cls(
            median(found["wall_all"]),
            median(found["cpu_all"]),
            found["memory_mb"]["end"]["peak"],
            found["memory_mb"]["imported"]["now"],
        )


def memory() -> dict[str, float]:
    """Memory of this process now and at most so far, MiB."""
    with open("/proc/self/status", encoding="utf-8") as lines:
        found = dict(line.split(":", 1) for line in lines if ":" in line)
    return {
        name: int(found[key].split()[0]) / 1024 for name, key in {"now": "VmRSS", "peak": "VmHWM"}.items()
    }


def measured(variant: str, updates: int, threads: int) -> dict[str, Any]:
    """Updates of plaudit in this process."""
    import torch

    torch.set_num_threads(threads)
    learner = made(variant)
    policy, rollouts = learner.policy, learner.rollouts
    imported = seen["imported"]
    wall, cpu, parts = [], [], []
    for _ in range(updates + 1):
        marks = [(time.perf_counter(), time.process_time())]
        said = rollouts.collect(policy, 1)
        marks.append((time.perf_counter(), time.process_time()))
        paid = learner.rewards.rewards(said)
        rollout = rollouts.episodes(said, policy, learner.reference, paid)
        marks.append((time.perf_counter(), time.process_time()))
        learner.updater.update(rollout, 1.0)
        marks.append((time.perf_counter(), time.process_time()))
        assert int(rollout.episodes.mask.sum()) == PROMPTS * ANSWER
        wall.append(marks[-1][0] - marks[0][0])
        cpu.append(marks[-1][1] - marks[0][1])
        parts.append([after[1] - before[1] for before, after in zip(marks, marks[1:], strict=False)])
    return {
        "wall_all": wall[1:],
        "cpu_all": cpu[1:],
        "cpu_parts": {
            name: median(part[i] for part in parts[1:]) for i, name in enumerate(("answer", "judge", "learn"))
        },
        "memory_mb": {"imported": imported, "end": memory()},
        "metrics": learner.updater.metrics,
    }


seen: dict[str, Any] = {}


def made(variant: str) -> Any:
    """The learner: everything an update needs."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from plaudit.algorithms.on_policy import ppo
    from plaudit.environments.language.prompts import Prompt, PromptQueue
    from plaudit.environments.language.rollouts import GenerationConfig, LanguageRollouts
    from plaudit.maths.advantage import GAE
    from plaudit.maths.kl import Kl
    from plaudit.models.language import loading, reward_model
    from plaudit.models.language.config import NewModel, PolicyConfig
    from plaudit.models.language.generation import Sampling
    from plaudit.models.language.policy import LanguagePolicy
    from plaudit.models.language.vocabulary import Vocabulary
    from plaudit.rewards.text import learned
    from plaudit.rewards.weighted import Fixed
    from plaudit.trainers import on_policy
    from plaudit.trainers.on_policy import Algorithm, OnPolicy, Updater

    seen["imported"] = memory()
    words = {str(i): i for i in range(VOCABULARY - 2)} | {"<pad>": VOCABULARY - 2, "<end>": VOCABULARY - 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    vocabulary = Vocabulary(
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>"), "words"
    )
    generator = torch.Generator().manual_seed(0)
    new = NewModel(layers=4, width=256, heads=4, context=128)
    lm = loading.make(new, vocabulary, generator)
    base = loading.make(new, vocabulary, generator)
    base.load_state_dict(lm.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        loading.save(Path(folder), base, vocabulary)
        judge = reward_model.begin(folder, generator)
    config = PolicyConfig(**VARIANTS[variant])
    policy = LanguagePolicy(lm, config, generator)
    reference = LanguagePolicy(base, PolicyConfig(critic="none", dtype=config.dtype), generator)
    judge.dtype = config.dtype
    ids = torch.randint(0, VOCABULARY - 2, (PROMPTS, PROMPT), generator=generator).tolist()
    prompts = [Prompt(tuple(row), " ".join(map(str, row))) for row in ids]
    # no token ends an answer, so that all have 48, as the peer's have
    generation = GenerationConfig(vocabulary, frozenset(), Sampling(max_new_tokens=ANSWER))
    settings = ppo.Config(discount=1.0, advantage=GAE(0.95), value_clip=0.2, value_coef=0.1, kl=Kl(0.05))
    how = on_policy.Config(
        learning_rate=3e-6, schedule="constant", epochs=EPOCHS, minibatch_size=MINIBATCH, max_grad_norm=None
    )
    updater = Updater(policy, Algorithm(ppo, settings, "ppo"), how, generator)
    rollouts = LanguageRollouts(PromptQueue(prompts, generator), generation, PROMPTS, generator)
    rewards = Fixed(learned(judge, vocabulary))
    return OnPolicy(updater, rollouts, rewards, budget=1, reference=reference.requires_grad_(False))


def in_a_process(who: str, command: list[str], threads: int) -> dict[str, Any]:
    """What one run prints, in a fresh process with so many threads."""
    settings = os.environ | dict.fromkeys(THREADS, str(threads))
    done = subprocess.run(command, env=settings, capture_output=True, text=True)
    try:
        done.check_returncode()
        found = json.loads(done.stdout.splitlines()[-1])
        timing = Timing.of(found)
    except (subprocess.CalledProcessError, ValueError, LookupError, TypeError):
        sys.exit(f"speed_language: {who} printed no timing; see what it says:\n{done.stdout}\n{done.stderr}")
    print(
        f"{who:26} {timing.wall:6.2f} s, {timing.cpu:6.2f} CPU s, {timing.peak:5.0f} MiB "
        f"({timing.own:.0f} beyond imports)",
        flush=True,
    )
    return found


def interleaved(given: argparse.Namespace, variants: list[str]) -> dict[str, list[dict[str, Any]]]:
    """What the peer and the variants printed, round by round; who begins alternates."""
    ours = [sys.executable, "-m", "benchmarks.speed_language", "--updates", str(given.updates)]
    commands = {PEER: shlex.split(given.peer)} | {
        variant: [*ours, "--threads", str(given.threads), "--one", variant] for variant in variants
    }
    found: dict[str, list[dict[str, Any]]] = {who: [] for who in commands}
    for number in range(given.pairs):
        for who in list(commands)[:: -1 if number % 2 else 1]:
            found[who].append(in_a_process(who, commands[who], given.threads))
    return found


def table(found: dict[str, list[dict[str, Any]]], given: argparse.Namespace) -> str:
    """The variants beside the peer, and the ratio of each pair, as Markdown."""
    timings = {who: [Timing.of(run) for run in runs] for who, runs in found.items()}
    peer, name = timings.pop(PEER), found[PEER][0].get("name", PEER)
    lines = [
        "# How fast plaudit teaches a language model",
        "",
        f"One PPO update of a GPT-2 with 4 layers of width 256 and {VOCABULARY:,} entries: {PROMPTS} prompts of",
        f"{PROMPT} tokens, {ANSWER} new ones each, {EPOCHS} epochs of minibatches of {MINIBATCH} answers; "
        f"threads: {given.threads}.",
        f"The peer is {name}.",
        f"Medians of {len(peer)} rounds, in each of which all run one after the other in fresh processes. Ratios are "
        "taken in",
        "each round: median (least to largest). For time, the peer's to ours; for memory, ours to the peer's.",
        "Seconds mean little where other jobs share the machine; CPU seconds are steadier. plaudit's new models take "
        "the",
        "tanh form of GELU in one operation (gelu_pytorch_tanh); gelu_new is the same function in seven, and keeps "
        "more memory.",
        "",
        "| | seconds | CPU seconds | peak MiB | beyond imports |",
        "|---|---|---|---|---|",
    ]
    for who, runs in {"the peer": peer, **timings}.items():
        wall, cpu, peak, own = (median(getattr(run, part) for run in runs) for part in PARTS)
        lines.append(f"| {who} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {own:.0f} |")
    lines += ["", "| ratio | time | CPU time | peak memory | beyond imports |", "|---|---|---|---|---|"]
    for who, runs in timings.items():
        pairs = list(zip(peer, runs, strict=True))
        ratios = [[getattr(a, part) / getattr(b, part) for a, b in pairs] for part in PARTS[:2]]
        ratios += [[getattr(b, part) / getattr(a, part) for a, b in pairs] for part in PARTS[2:]]
        cells = (f"{median(ratio):.2f} ({min(ratio):.2f} to {max(ratio):.2f})" for ratio in ratios)
        lines.append(f"| {who} | {' | '.join(cells)} |")
    if left := [variant for variant in VARIANTS if variant not in timings]:
        lines += ["", f"Left out, as this processor has no products in bfloat16: {', '.join(left)}."]
    lines += ["", f"Made by `python -m benchmarks.speed_language`. {described(*PACKAGES)}."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure all variants, with the peer in between, or one variant once."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5, help="rounds")
    parser.add_argument("--updates", type=int, default=3, help="updates of plaudit counted in each process")
    parser.add_argument("--threads", type=int, default=2, help="threads of each process")
    parser.add_argument("--peer", metavar="COMMAND", help="runs the peer once")
    parser.add_argument("--one", choices=list(VARIANTS), help="one variant once, as JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.one, given.updates, given.threads)))
        return 0
    if not given.peer:
        print(
            "speed_language: there is no peer to compare with; give the command that runs it: --peer COMMAND"
        )
        return 0
    import torch

    from plaudit.models.language.devices import multiplies_in_half

    half = multiplies_in_half(torch.device("cpu"))
    variants = [name for name, how in VARIANTS.items() if how.get("dtype") is None or half]
    text = table(interleaved(given, variants), given)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed_language.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
