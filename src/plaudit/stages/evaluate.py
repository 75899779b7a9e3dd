"""The stage `evaluate`: how good a run or a saved policy is, on what it has not learned from."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from plaudit.declared import Count, Finite, Whole
from plaudit.environments.language.config import Language
from plaudit.errors import PlauditError
from plaudit.models.language.config import Shaping
from plaudit.runs import config as configs
from plaudit.runs.folder import RunFolder
from plaudit.seeds import seed_of
from plaudit.stages.adapters import adapter


@dataclass(frozen=True)
class EvaluateControl:
    """How a control policy is evaluated: by the true return on fresh episodes."""

    episodes: Count = 50
    """Episodes."""
    sample: bool = False
    """Draw the actions instead of taking the likeliest; without this both are told."""
    seed: Whole = 12345
    """Seed of the episodes."""


@dataclass(frozen=True)
class EvaluateText:
    """How a language model is evaluated: on held-out prompts, beside another model."""

    against: str | None = None
    """The model its completions are compared with; none: the one the run started from."""
    environment: Language = Language()
    """The prompts (those held out), and how they are completed."""
    reward: str | None = None
    """A folder with a reward model; none: that of the run."""
    weights: dict[str, Finite] = field(default_factory=lambda: {"learned": 1.0})
    """Weights of the reward model (`learned`) and of the functions, by name; as the run says."""
    functions: dict[str, str] = field(default_factory=dict)
    """Reward functions by name, each as path/to/file.py:function; as the run says."""
    gold_reward: str | None = None
    """What completions are truly worth: `rubric` or path/to/file.py:function; none: as the run says."""
    count: Count = 200
    """Held-out prompts, at most."""
    shaping: Shaping | None = None
    """Temperature and nucleus; none: as the run says, or as the model was saved with."""
    rows: Count = 64
    """Completions drawn and read at once; less needs less memory."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the products."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    seed: Whole = 12345
    """Seed of the completions."""


EvaluateConfig = EvaluateControl | EvaluateText


def medium_of(folder: Path) -> str:
    """What a run or a saved policy acts in. PlauditError where there is neither."""
    if not folder.exists():
        raise PlauditError(f"{folder}: no such folder; give a run or a saved policy")
    if (folder / "manifest.json").exists():
        return configs.load(RunFolder.open(folder).config).medium
    return "language" if (folder / "config.json").exists() else "control"


def of_run(path: Path, prompts: str | None = None) -> EvaluateText:
    """How a language run is evaluated at its end: as many of the same prompts, the same random numbers, so that the
    figures are the same too; what else is given goes on top.

    With other prompts than the run's, its splits and its file to evaluate on say nothing any more, nor does the number
    of its prompts.
    """
    run = configs.load(RunFolder.open(path).config)
    reward = path / "reward" if (path / "reward").exists() else run.reward.start
    reward = reward if "learned" in run.reward.weights else None
    environment: Any = run.environment
    count = run.evaluate_count
    if prompts is not None and Path(prompts).resolve() != Path(environment.prompts).resolve():
        environment = replace(environment, prompts=prompts, split=None, evaluate_on=None, evaluate_split=None)
        count = EvaluateText.count
    return EvaluateText(
        against=run.start,
        environment=environment,
        reward=None if reward is None else str(reward),
        weights=run.reward.weights,
        functions=run.reward.functions,
        gold_reward=run.gold_reward,
        count=count,
        shaping=run.policy.shaping,
        rows=run.policy.rows,
        dtype=run.policy.dtype,
        device=run.device,
        seed=evaluation_seed(run.seed),
    )


def evaluation_seed(seed: int) -> int:
    """The seed of the evaluation at the end of a run with this seed."""
    return seed_of(seed, "evaluation")


def evaluate(place: str, config: EvaluateConfig) -> dict[str, Any]:
    """Control: `return_mean`, `return_std`, `episodes`, and `*_drawn` by drawn actions. Language: gold reward, proxy
    and KL on held-out prompts, and how often completions beat those of another model."""
    return adapter("control" if isinstance(config, EvaluateControl) else "language").evaluated(place, config)
