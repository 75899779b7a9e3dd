"""The tables of results/real_text.md, from what real_text.py measured."""

import json
from typing import Any

import numpy as np

from benchmarks.machine import described
from plaudit.runs import old_names
from plaudit.runs.statistics import mean_interval

PACKAGES = ("plaudit", "torch", "transformers", "tokenizers", "numpy")
REQUIRED, TF_IDF = 0.55, 0.550
"""Mean accuracy the reward model must reach, and that of a linear model of words."""


def tables(rows: dict[str, Any]) -> str:
    """All measured parts as Markdown."""
    lines = ["# Other people's text", "", "CPU seconds are of one thread of a shared machine."]
    for name, shown in SHOWN.items():
        if name in rows:
            lines += ["", *shown(rows[name]), "", f"Measured {rows[name]['date']}."]
    lines += ["", f"Made by `python -m benchmarks.real_text`. {described(*PACKAGES)}."]
    return "\n".join(lines) + "\n"


def _pretrained(row: dict[str, Any]) -> list[str]:
    model, grams = row["model"], row["n_grams"]
    return [
        "## Language modelling: tinyshakespeare",
        "",
        f"`plaudit pretrain tinyshakespeare.txt {flags(row['settings'])}`",
        "",
        f"Held out: the last {grams['characters']:,} characters. Its tokens are a byte-level BPE.",
        "",
        "| | nats per character | parameters | CPU s |",
        "|---|---|---|---|",
        f"| plaudit | {model['val/nll_per_character']:.3f} | {model['parameters']:,} | {model['cpu_seconds']:.0f} |",
        f"| {grams['n']}-grams of characters, interpolated modified Kneser-Ney | {grams['nats']:.3f} | | |",
        "",
        "The order of the n-grams was chosen on the part before. Known: about 1.47 for a model of characters of "
        "nanoGPT's size, trained much longer.",
    ]


def _rewarded(row: dict[str, Any]) -> list[str]:
    runs, base = row["runs"], row["base"]
    by = {name: np.array([run["points"][name] for run in runs]).mean(axis=0) for name in runs[0]["points"]}
    accuracy = [run["accuracy"]["reward model"] for run in runs]
    mean, reached = by["model"].mean(), "yes" if by["model"].mean() >= REQUIRED else "NO"
    train, test = runs[0]["pairs"]
    lines = [
        "## Reward model: human comparisons of HH-RLHF",
        "",
        f"`plaudit pretrain answers.jsonl {flags(row['base_settings'])}` on both answers of every comparison to learn "
        f"from ({base['val/nll_per_character']:.3f} nats per character, {base['cpu_seconds']:.0f} CPU s), then",
        f"`plaudit reward hh_pairs.jsonl.gz --start dialogues {flags(row['settings'])}`",
        "",
        f"Accuracy on {test} test pairs after {train:,}. Intervals are 95 % t-intervals over test pairs, of the mean "
        f"over {len(runs)} seeds.",
        "",
        "| | accuracy | the reward model's accuracy less this |",
        "|---|---|---|",
        f"| reward model, mean of {', '.join(f'{value:.3f}' for value in accuracy)} | {_interval(by['model'])} | |",
    ]
    blind = np.array(row["blind"])
    each = ", ".join(f"{value:.3f}" for value in blind.mean(axis=1))
    lines.append(
        f"| the same, but not told the source (`judged_by`), mean of {each} | {_interval(blind.mean(axis=0))} "
        f"| {_interval(by['model'] - blind.mean(axis=0))} |"
    )
    rules = {"longer": "the longer answer wins", "rule": "the longer or the shorter one, by source (learned)"}
    lines += [
        f"| {said} | {by[name].mean():.3f} | {_interval(by['model'] - by[name])} |"
        for name, said in rules.items()
    ]
    lines += [
        f"| TF-IDF Bradley-Terry, known | {TF_IDF:.3f} | |",
        "",
        f"Required: mean >= {REQUIRED:.2f}: {reached} ({mean:.3f}).",
        "",
        "| seed | accuracy by source | rank correlation of reward and length, by source | as length by source says "
        "| CPU s |",
        "|---|---|---|---|---|",
    ]
    for run in runs:
        cells = [
            _by(run["by_source"]),
            _by(run["length"]),
            f"{run['as_rule']:.2f}",
            f"{run['cpu_seconds']:.0f}",
        ]
        lines.append(f"| {run['seed']} | {' | '.join(cells)} |")
    return [*lines, "", "Both of a pair: chosen less rejected."]


def _by(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())


def _interval(values: np.ndarray) -> str:
    mean, low, high = mean_interval(values)
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def _improved(row: dict[str, Any]) -> list[str]:
    row = old_names.renamed(row)  # kept results may be of a version with other names
    before = old_names.renamed(row["before"])
    return [
        "## PPO against that reward model (seed 0)",
        "",
        f"`plaudit optimise ppo --start dialogues --reward.start reward --prompts hh_pairs.jsonl.gz "
        f"{flags(row['settings'])}`",
        "",
        f"On {row['win_prompts']} held-out prompts; the learned reward has mean 0 and spread 1 on the training texts.",
        "",
        "| | learned reward | tokens | repetition | at the length cap | KL, nats per answer |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {r['proxy_reward_mean']:.2f} | {r['tokens']:.1f} | {r['repetition']:.2f} | {r['capped']:.2f} "
            f"| {r.get('kl_per_answer', 0):.2f} |"
            for name, r in (("before", before), ("after", row))
        ),
        "",
        f"By the learned reward itself the answer after is better than the one before to {row['win_rate']:.3f} "
        f"({row['win_low']:.3f} to {row['win_high']:.3f}) of the prompts. The run ended as `{row['status']}` and wrote "
        f"its report ({row['report'] // 1000} kB) after {row['cpu_seconds']:.0f} CPU s.",
    ]


def flags(changes: dict[str, Any], prefix: str = "") -> str:
    """The changes as flags of a command."""
    said = []
    for name, value in changes.items():
        nested = isinstance(value, dict)
        said.append(flags(value, f"{prefix}{name}.") if nested else f"--{prefix}{name} {json.dumps(value)}")
    return " ".join(said)


SHOWN = {"pretrain": _pretrained, "reward": _rewarded, "ppo": _improved}
"""What writes each part."""
