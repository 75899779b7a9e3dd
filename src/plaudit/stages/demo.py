"""The stage `demo`: a pendulum, a robot, and a small language model, that learn what people want without a reward."""

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml

from plaudit.models.language.config import NewModel
from plaudit.runs.config import RunConfig, from_mapping
from plaudit.stages.pretrain_config import PretrainText
from plaudit.trainers import supervised

Task = Literal["pendulum", "backflip"]
"""What there is to teach in person."""
SMALL = NewModel(layers=2, width=192, heads=4, vocabulary=512, context=192, spread=0.04, activation="gelu")
"""1.0 million parameters."""


@dataclass(frozen=True)
class Pretraining:
    """Something the model is taught before anybody is asked."""

    title: str
    config: PretrainText
    folder: Path
    """Where the model is afterwards."""


def control(seed: int) -> RunConfig:
    """Pendulum from 200 comparisons, without the environment's reward."""
    return replace(from_mapping(_read("demo_control.yaml"), "demo"), seed=seed)


def control_with_me(seed: int, task: Task = "pendulum") -> RunConfig:
    """For a real person: few questions at a time, and it goes on alone a minute after the last answer."""
    if task == "backflip":
        config = replace(from_mapping(_read("demo_backflip.yaml"), "demo"), seed=seed)
        asked = config.feedback
    else:
        config = control(seed)
        asked = replace(config.feedback, labels=60, first=10, rounds=12)
    return replace(config, feedback=replace(asked, ahead=3, patience=60.0, people=()))


def pretraining(folder: Path, seed: int) -> list[Pretraining]:
    """First to write, also plain right answers; then what clerks answer."""
    base, clerks = folder / "base", folder / "clerks"
    first = PretrainText(
        new=SMALL,
        style="both",
        learn="everything",
        held_out=0.01,
        count=6000,
        trainer=_descent(6e-3, 400),
        seed=seed,
    )
    clerk = PretrainText(
        start=str(base),
        style="clerks",
        learn="answers",
        held_out=0.01,
        trainer=_descent(1e-3, 80),
        seed=seed,
    )
    return [Pretraining("learning to write", first, base), Pretraining("learning from clerks", clerk, clerks)]


def language(start: Path, seed: int) -> RunConfig:
    """400 comparisons, then PPO, with a price for leaving the model it started from."""
    mapping = _read("demo_language.yaml") | {"start": str(start)}
    return replace(from_mapping(mapping, "demo"), seed=seed)


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((files("plaudit.stages") / name).read_text(encoding="utf-8"))


def _descent(rate: float, steps: int) -> supervised.Config:
    return supervised.Config(
        learning_rate=rate,
        steps=steps,
        warmup=20,
        weight_decay=0.01,
        minibatch_size=16,
        max_grad_norm=1.0,
        schedule="linear",
        log_every=20,
    )
