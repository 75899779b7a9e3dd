"""plaudit evaluate FOLDER: how good a run or a saved policy is, on what it has not learned from.

Control: the true return on fresh episodes. Language: hidden score, learned reward, KL and win rate on held-out prompts,
beside the model a run started from or the one given by --against.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from plaudit.cli import arguments
from plaudit.cli.flags import Positional
from plaudit.errors import PlauditError
from plaudit.pipeline import kinds
from plaudit.runs.folder import RunFolder


@dataclass(frozen=True)
class Evaluate:
    """What to evaluate, and how."""

    folder: Positional[Path]
    """A run folder, or the folder of a saved policy."""
    episodes: int = 50
    """Episodes."""
    seed: int = 12345
    """Seed of the episodes."""
    sample: bool = False
    """Draw the actions instead of taking the likeliest."""
    json: bool = False
    """Print JSON."""


def main(argv: Sequence[str]) -> int:
    """Evaluate one policy."""
    folder = Path(argv[0]) if argv and not argv[0].startswith("-") else None
    if folder is not None and _is_language(folder):
        return _language(folder, argv[1:])
    return _control(arguments.parse(Evaluate, argv, "evaluate", str(__doc__)))


def _control(given: Evaluate) -> int:
    from plaudit.runs import saved
    from plaudit.environments.control.evaluation import true_returns

    torch.set_num_threads(1)
    if (given.folder / saved.CARD).exists():
        policy_folder = given.folder
        environment = saved.environment_of(policy_folder)
    else:
        folder = RunFolder.open(given.folder)
        policy_folder, environment = folder.path / "policy", kinds.load(folder.config).environment
    policy = saved.load_policy(policy_folder, environment.id)
    returns = true_returns(policy, environment, given.episodes, given.seed, not given.sample)
    result = {
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
        "episodes": len(returns),
    }
    if given.json:
        print(json.dumps(result))
    else:
        print("true return {return_mean:.1f} +- {return_std:.1f} over {episodes} episodes".format(**result))
    return 0


def _language(folder: Path, argv: Sequence[str]) -> int:
    from plaudit.stages.generate import EvaluateConfig, assess, of_run
    from plaudit.stages.adapters.text_evaluation import paid

    rest = [item for item in argv if item != "--json"]
    default = EvaluateConfig()
    config = arguments.parse_with(default, rest, "evaluate", str(__doc__))
    torch.set_num_threads(1)
    if (folder / "manifest.json").exists():  # the run's own config, then the flags
        other = None if config.language.prompts == default.language.prompts else config.language.prompts
        config = arguments.parse_with(of_run(folder, other), rest, "evaluate", str(__doc__))
    result = assess(str(folder), config)
    if "--json" in argv:
        print(json.dumps(result))
        return 0
    names = {"hidden_mean": "hidden score", "proxy_mean": paid(config.weights), "kl_per_answer": "KL, nats per answer",
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
    return 0


def _is_language(folder: Path) -> bool:
    if not folder.exists():
        raise PlauditError(f"{folder}: no such folder; give a run or a saved policy")
    if (folder / "manifest.json").exists():
        return kinds.kind_of(kinds.load(RunFolder.open(folder).config)) == "language"
    return (folder / "config.json").exists()
