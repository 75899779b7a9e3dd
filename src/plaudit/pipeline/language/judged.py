"""A reward for text from answers of any kind: comparisons, rankings, ratings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

import torch

from plaudit.batches.rows import moved
from plaudit.declared import NonNegative, Positive, at_least
from plaudit.errors import PlauditError
from plaudit.models.language import loading, reward_model
from plaudit.models.language.reward_model import TextReward, option_scores, text_options, texts
from plaudit.pipeline import judged
from plaudit.pipeline.language.learn_reward import encode
from plaudit.readers.judgements import Judged
from plaudit.seeds import seed_of
from plaudit.rewards.learned import fit as reward_fit
from plaudit.trainers.steps import AdamOptimiser

LEAST_STEPS = 150
"""Gradient steps at least, however few answers there are."""
RATE = 0.05
"""The usual step size times the width: wide models bear smaller steps (Yang et al. 2022, arXiv:2203.03466)."""
MOST_SCALED = 512
"""Texts over which zero and scale are fixed, at most."""


@dataclass(frozen=True)
class JudgedConfig:
    """How a reward for text is learned from answers."""

    start: str
    """A folder (or hub id) with the language model, or reward model, to start from."""
    learning_rate: NonNegative | None = None
    """Step size at the start; none: what fits the width of the model."""
    epochs: Annotated[float, at_least(0.01)] = 2.0
    """Passes over the answers; where there are few, more."""
    scale: Positive = 1.0
    """Inverse temperature of the likelihood."""
    fit: reward_fit.Config = reward_fit.Config(
        weight_decay=0.01, minibatch_size=16, schedule="linear", max_grad_norm=1.0
    )
    """How the reward model is fitted; the number of steps follows from `epochs`, the step size from `learning_rate`."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    seed: int = 0
    """Seed of everything."""


def learn(rows: Sequence[Judged], config: JudgedConfig) -> tuple[TextReward, dict[str, float]]:
    """Fit a reward model; returns it, of mean 0 and variance 1 over the texts it has seen, and its metrics."""
    generator = torch.Generator().manual_seed(seed_of(config.seed, "reward"))
    model = reward_model.begin(config.start, generator).to(loading.device(config.device))
    most = loading.context_of(model.model) or 1024
    encoded = [
        [model.reading(encode(model, one.prompt, said), {}, most) for said in one.options] for one in rows
    ]
    options = moved(text_options(encoded, judged.judgements(rows)), model.device)
    rate = RATE / model.model.score.in_features if config.learning_rate is None else config.learning_rate
    fit = replace(config.fit, learning_rate=rate)
    steps = max(LEAST_STEPS, round(config.epochs * len(rows) / config.fit.minibatch))
    optimiser = AdamOptimiser(model.parameters(), weight_decay=config.fit.weight_decay)
    likelihood = judged.likelihood(rows, config.scale)
    metrics = reward_fit.fit(
        lambda _: partial(_returns, model), optimiser, options, likelihood, (fit, steps), generator
    )
    if not torch.isfinite(optimiser.flat).all():
        raise PlauditError(
            "the fit of the reward has diverged: its weights are no longer finite; lower the learning rate"
        )
    model.standardise(texts([text for row in encoded for text in row][:MOST_SCALED], model.device))
    return model, metrics


def _returns(model: TextReward, part: reward_model.TextOptions) -> torch.Tensor:
    return option_scores(model, part)[None]
