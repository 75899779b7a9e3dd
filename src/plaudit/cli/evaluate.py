"""plaudit evaluate FOLDER: how good a run or a saved policy is, on what it has not learned from.

Control: the true return on fresh episodes, by the likeliest actions and by drawn ones. Language: gold reward, learned
reward, KL and win rate on held-out prompts, beside the model a run started from or the one given by --against. A run is
evaluated as at its end: on the same prompts, answered with the same random numbers; --count and --seed give others.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from plaudit.cli import arguments
from plaudit.cli.flags import Positional
from plaudit.cli.run import returned
from plaudit.stages import evaluate


@dataclass(frozen=True)
class Evaluate(evaluate.EvaluateControl):
    """What to evaluate, and how."""

    folder: Positional[Path] = Path("")
    """A run folder, or the folder of a saved policy."""
    json: bool = False
    """Print JSON."""


def main(argv: Sequence[str]) -> int:
    """Evaluate one policy."""
    folder = Path(argv[0]) if argv and not argv[0].startswith("-") else None
    torch.set_num_threads(1)
    if folder is not None and evaluate.medium_of(folder) == "language":
        return _language(folder, argv[1:])
    given = arguments.parse(Evaluate, argv, "evaluate", str(__doc__))
    how = evaluate.EvaluateControl(given.episodes, given.sample, given.seed)
    result = evaluate.evaluate(str(given.folder), how)
    if given.json:
        print(json.dumps(result))
    else:
        print(returned(result))
    return 0


def _language(folder: Path, argv: Sequence[str]) -> int:
    from plaudit.stages.adapters.language_evaluate import paid

    rest = [item for item in argv if item != "--json"]
    default = evaluate.EvaluateText()
    config = arguments.parse_with(default, rest, "evaluate FOLDER", str(__doc__))
    if (folder / "manifest.json").exists():  # the run's own config, then the flags
        prompts = config.environment.prompts
        other = None if prompts == default.environment.prompts else prompts
        config = arguments.parse_with(evaluate.of_run(folder, other), rest, "evaluate FOLDER", str(__doc__))
    result = evaluate.evaluate(str(folder), config)
    if "--json" in argv:
        print(json.dumps(result))
    else:
        _print(result, paid(config.weights))
    return 0


def _print(result: dict[str, Any], proxy: str) -> None:
    names = {"gold_reward_mean": "gold reward", "proxy_reward_mean": proxy, "kl_per_answer": "KL, nats per answer",
             "tokens": "tokens per answer", "repetition": "repeated 3-grams", "capped": "cut by the cap"}  # fmt: skip
    before = result.get("before", {})
    for name, label in names.items():
        if name in result:
            beside = f"   (the other model: {before[name]:.3f})" if name in before else ""
            print(f"  {label:<22} {result[name]:8.3f}{beside}")
    if "win_rate" in result and "kl_per_answer" not in result:
        print("  no KL: the two models have different tokens")
    if "win_rate" in result:
        print(f"  better by the {result['win_by']}: {result['win_rate']:.0%} of {result['win_prompts']} prompts "
              f"(95 % {result['win_low']:.0%} to {result['win_high']:.0%}; ties {result['win_ties']:.0%})")  # fmt: skip
