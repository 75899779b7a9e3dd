"""The stage `reward`: learn a reward model from comparisons in a file, and say honestly how good it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from plaudit.batches import Comparisons
from plaudit.batches.rows import take
from plaudit.declared import Whole, at_least
from plaudit.errors import PlauditError
from plaudit.likelihoods import bradley_terry
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.pipeline.control import saved
from plaudit.readers.arrays import RecordedPairs
from plaudit.runs.settings import validate
from plaudit.seeds import seed_of
from plaudit.trainers import reward_fit
from plaudit.trainers.descent import Adam


@dataclass(frozen=True)
class LearnRewardConfig:
    """How a reward model is learned from a file of comparisons."""

    model: RewardConfig = RewardConfig()
    """The networks of the reward model."""
    likelihood: bradley_terry.Config = bradley_terry.Config(scale=0.03)
    """How answers depend on the reward."""
    fit: reward_fit.Config = reward_fit.Config(first_steps=60, weight_decay=1.0)
    """How the reward model is fitted."""
    folds: Annotated[int, at_least(2)] = 5
    """Folds of the cross-validation."""
    repeats: Whole = 30
    """Times the cross-validation is repeated with other folds; 0: no cross-validation."""
    seed: int = 0
    """Seed of everything."""


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on held-out decided pairs, over the repeats of a cross-validation."""

    mean: float
    spread: float
    """Standard deviation over the repeats."""


def read(pairs: RecordedPairs) -> tuple[Transitions, Transitions, torch.Tensor]:
    """Both sides as transitions [P, L, ...], and the preference [P]; the last state is its own successor."""
    sides = []
    for observations, actions in zip(pairs.observations, pairs.actions, strict=True):
        states = torch.from_numpy(observations.astype(np.float32)).flatten(start_dim=2)
        given = torch.from_numpy(actions.astype(np.float32))
        given = given.unsqueeze(-1) if given.ndim == 2 else given.flatten(start_dim=2)
        following = torch.cat([states[:, 1:], states[:, -1:]], dim=1)
        sides.append(Transitions(states, given, given, following, torch.zeros(states.shape[:2])))
    return sides[0], sides[1], torch.from_numpy(pairs.preference.astype(np.float32))


def learn(
    pairs: RecordedPairs, config: LearnRewardConfig, out: Path, about: dict[str, Any]
) -> dict[str, Accuracy]:
    """Cross-validate the model beside its baselines, then fit it to all pairs and save it in `out`."""
    if (out / saved.CARD).exists():
        raise PlauditError(f"{out}: a model is here already; choose another --out")
    validate(config)
    first, second, preference = read(pairs)
    decided = int((preference != 0.5).sum())
    if decided < 2 * config.folds:
        raise PlauditError(
            f"only {decided} pairs are decided; give at least {2 * config.folds}, or fewer --folds"
        )
    results = cross_validate(first, second, preference, config) if config.repeats else {}
    model = _fit(first, second, preference, config, seed_of(config.seed, "all"))
    everything = Transitions(*(torch.cat([getattr(first, name), getattr(second, name)]) for name in _FIELDS))
    model.standardise(everything, torch.ones(everything.observations.shape[:2], dtype=torch.bool))
    shown = {name: vars(accuracy) for name, accuracy in results.items()}
    saved.save_reward(
        out, model, about | {"pairs": len(preference), "decided": decided, "cross_validation": shown}
    )
    return results


_FIELDS = ("observations", "actions", "executed", "successors", "environment_rewards")


def cross_validate(
    first: Transitions, second: Transitions, preference: torch.Tensor, config: LearnRewardConfig
) -> dict[str, Accuracy]:
    """Held-out accuracy on decided pairs of the model and of two baselines, on the same folds.

    Baselines: a linear Bradley-Terry reward on the mean state and action of a segment, and the best single feature
    of the state chosen on the training folds. Equal pairs teach, but are never scored.
    """
    decided = torch.nonzero(preference != 0.5).flatten()
    equal = torch.nonzero(preference == 0.5).flatten()
    difference = _mean_features(first) - _mean_features(second)
    hits: dict[str, list[float]] = {
        "reward model": [],
        "linear on mean features": [],
        "best single feature": [],
    }
    for repeat in range(config.repeats):
        generator = torch.Generator().manual_seed(seed_of(config.seed, "folds", repeat))
        folds = decided[torch.randperm(len(decided), generator=generator)].tensor_split(config.folds)
        right = dict.fromkeys(hits, 0)
        for number, test in enumerate(folds):
            train = torch.cat([*folds[:number], *folds[number + 1 :], equal])
            model = _fit(
                take(first, train),
                take(second, train),
                preference[train],
                config,
                seed_of(config.seed, repeat, number),
            )
            margins = {
                "reward model": _margin(model, take(first, test), take(second, test)),
                "linear on mean features": linear(difference[train], preference[train], difference[test]),
                "best single feature": single(difference[train], preference[train], difference[test]),
            }
            for name, margin in margins.items():
                right[name] += int((margin * (preference[test] - 0.5) > 0).sum())  # no margin, no merit
        for name in hits:
            hits[name].append(right[name] / len(decided))
    return {name: _accuracy(values) for name, values in hits.items()}


def _accuracy(repeats: list[float]) -> Accuracy:
    return Accuracy(float(np.mean(repeats)), float(np.std(repeats, ddof=1)) if len(repeats) > 1 else 0.0)


def linear(train: torch.Tensor, preference: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
    """Margins of a linear Bradley-Terry reward on mean features: Newton steps on the ridge-penalised likelihood."""
    scale = train.std(dim=0) + 1e-8
    x, target = (train / scale).double(), preference.double()
    weight = torch.zeros(x.shape[1], dtype=torch.float64)
    for _ in range(20):
        p = (x @ weight).sigmoid()
        hessian = (x * (p * (1 - p))[:, None]).T @ x + torch.eye(len(weight), dtype=torch.float64)
        weight = weight - torch.linalg.solve(hessian, x.T @ (p - target) + weight)
    return (test / scale).double() @ weight


def single(train: torch.Tensor, preference: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
    """Margins of the one feature, with its sign, that orders most of the training pairs as people did."""
    sign = (preference - 0.5).sign()[:, None]
    score = (train.sign() * sign).sum(dim=0)
    best = int(score.abs().argmax())
    return test[:, best] * score[best].sign()


def _fit(
    first: Transitions, second: Transitions, preference: torch.Tensor, config: LearnRewardConfig, seed: int
) -> RewardEnsemble:
    generator = torch.Generator().manual_seed(seed)
    spaces = Spaces(first.observations.shape[-1], first.executed.shape[-1], "continuous")
    model = RewardEnsemble(spaces, config.model, generator)
    features = model.features(first), model.features(second)
    model.scale_inputs(torch.cat(features).flatten(end_dim=1))
    mask = torch.ones(features[0].shape[:2], dtype=torch.bool)
    pairs = reward_fit.Pairs(*features, mask, mask, Comparisons(preference))
    optimiser = Adam(model.parameters(), weight_decay=config.fit.weight_decay)
    likelihood = reward_fit.Likelihood(bradley_terry, config.likelihood)
    returns = reward_fit.drawn_returns(model, mask.shape[1], config.fit.drawn)
    reward_fit.fit(returns, optimiser, pairs, likelihood, (config.fit, config.fit.first_steps), generator)
    return model


@torch.no_grad()
def _margin(model: RewardEnsemble, first: Transitions, second: Transitions) -> torch.Tensor:
    return (model(model.features(first)) - model(model.features(second))).sum(dim=-1).mean(dim=0)


def _mean_features(side: Transitions) -> torch.Tensor:
    return torch.cat([side.observations, side.executed], dim=-1).mean(dim=1)
