"""The demo for language: a small model that learns to write, then to answer as clerks do, and the run that follows."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import yaml

from plaudit.models.language.loading import NewModel
from plaudit.pipeline.language.config import RunConfig, from_mapping
from plaudit.pipeline.language.pretrain import PretrainConfig
from plaudit.trainers import supervised

SMALL = NewModel(layers=2, width=192, heads=4, vocabulary=512, context=192, spread=0.04, activation="gelu")
"""1.0 million parameters."""


def lessons(folder: Path, seed: int) -> list[tuple[str, PretrainConfig, Path]]:
    """What the model is taught before anybody is asked: to write, also plain right answers; then what clerks answer."""
    base, clerks = folder / "base", folder / "clerks"
    first = PretrainConfig(
        new=SMALL,
        style="both",
        learn="everything",
        held_out=0.01,
        count=6000,
        trainer=_descent(6e-3, 400),
        seed=seed,
    )
    clerk = PretrainConfig(
        start=str(base),
        style="clerks",
        learn="answers",
        held_out=0.01,
        trainer=_descent(1e-3, 80),
        seed=seed,
    )
    return [("learning to write", first, base), ("learning from clerks", clerk, clerks)]


def run(start: Path, seed: int) -> RunConfig:
    """400 comparisons, then PPO, with a price for leaving the model it started from."""
    mapping = yaml.safe_load((files("plaudit.pipeline.language") / "demo.yaml").read_text(encoding="utf-8"))
    return replace(from_mapping(mapping | {"start": str(start)}, "demo"), seed=seed)


def _descent(rate: float, steps: int) -> supervised.Config:
    return supervised.Config(
        learning_rate=rate,
        steps=steps,
        warmup=20,
        weight_decay=0.01,
        minibatch_size=16,
        max_grad_norm=1.0,
        schedule="linear",
        tell_every=20,
    )
