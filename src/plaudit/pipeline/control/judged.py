"""A reward for control from answers of any kind about segments: comparisons, rankings, ratings."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from plaudit.declared import Positive
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.pipeline import judged
from plaudit.rewards.segments import stack
from plaudit.readers.judgements import Judged, Segment
from plaudit.seeds import seed_of
from plaudit.rewards.learned import fit as reward_fit
from plaudit.trainers.steps import AdamOptimiser


@dataclass(frozen=True)
class JudgedConfig:
    """How a reward for control is learned from answers."""

    model: RewardConfig = RewardConfig()
    """The networks of the reward model."""
    scale: Positive = 0.1
    """Inverse temperature of the likelihood, per unit of a segment's summed reward."""
    fit: reward_fit.Config = reward_fit.Config(first_steps=200, weight_decay=0.5, subsample=0.125)
    """How the reward model is fitted: `first_steps` in all."""
    seed: int = 0
    """Seed of everything."""


def learn(
    rows: Sequence[Judged], spaces: Spaces, config: JudgedConfig, name: str
) -> tuple[RewardEnsemble, dict[str, float]]:
    """Fit a reward ensemble; returns it, of mean 0 and variance 1 per member over the segments, and its metrics.

    `spaces` are those of the environment `name`. PlauditError for segments of another one.
    """
    for one in rows:
        for segment in one.options:
            _refuse_others(segment, spaces, one.where, name)
    generator = torch.Generator().manual_seed(seed_of(config.seed, "reward"))
    model = RewardEnsemble(spaces, config.model, generator)
    record, mask = stack([_transitions(segment) for one in rows for segment in one.options])
    options = _options(model.features(record), mask, rows)
    model.scale_inputs(options.features[options.mask])
    optimiser = AdamOptimiser(model.parameters(), weight_decay=config.fit.weight_decay)
    returns = reward_fit.drawn_returns(model, mask.shape[1], config.fit.drawn)
    likelihood = judged.likelihood(rows, config.scale)
    reward_fit.fit(returns, optimiser, options, likelihood, (config.fit, config.fit.first_steps), generator)
    model.standardise(record, mask)
    with torch.no_grad():
        means = reward_fit.segment_returns(model, options).mean(dim=0)
    return model, reward_fit.assess(means, options.judgements, likelihood)


def _options(features: torch.Tensor, mask: torch.Tensor, rows: Sequence[Judged]) -> reward_fit.Options:
    """Segments [N, L, ...], row after row, as [R, C, L, ...]; what a row has not is masked out."""
    most = max(len(one.options) for one in rows)
    there = torch.tensor([[i < len(one.options) for i in range(most)] for one in rows])
    spread = features.new_zeros(*there.shape, *features.shape[1:])
    spread[there] = features
    masks = mask.new_zeros(*there.shape, mask.shape[1])
    masks[there] = mask
    return reward_fit.Options(spread, masks, judged.judgements(rows))


def _transitions(segment: Segment) -> Transitions:
    """One segment [1, L, ...]; its last state is its own successor."""
    observations, actions = (torch.from_numpy(array).flatten(start_dim=1)[None] for array in segment)
    following = torch.cat([observations[:, 1:], observations[:, -1:]], dim=1)
    return Transitions(observations, actions, actions, following, torch.zeros(observations.shape[:2]))


def _refuse_others(segment: Segment, spaces: Spaces, where: str, name: str) -> None:
    found = tuple(int(array[0].size) for array in segment)
    if found != (spaces.observation, spaces.action):
        raise PlauditError(
            f"{where}: its steps have {found[0]} numbers of observation and {found[1]} of action, but {name} has "
            f"{spaces.observation} and {spaces.action}; give feedback about {name}"
        )
