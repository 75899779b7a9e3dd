"""A reward for control from files: segments as the reward model reads them, and rules to compare it with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plaudit.errors import PlauditError
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.readers.judgements import Judged, Segment
from plaudit.rewards.control import SegmentReward
from plaudit.rewards.segments import stack
from plaudit.runs import saved
from plaudit.runs.streams import generator


def medium(rows: Sequence[Judged], config: Any, known: Spaces | None) -> SegmentReward:
    """A fresh ensemble for these segments; PlauditError where they do not fit the spaces of the environment."""
    spaces = known or _spaces(rows[0].options[0])
    for one in rows:
        for segment in one.options:
            _refuse_others(segment, spaces, one.where)
    model = RewardEnsemble(spaces, config.model, generator(config.seed, "reward"))
    return SegmentReward(model, transitions, config.fit.subsample)


def settle(reward: SegmentReward, rows: Sequence[Judged]) -> None:
    """Mean 0 and variance 1 of every member over all segments."""
    record, mask = stack([transitions(segment) for one in rows for segment in one.options])
    reward.model.standardise(record, mask)


def rules(train: Sequence[Judged], test: Sequence[Judged]) -> dict[str, Tensor]:
    """Margins, for what was chosen, of a linear reward on the mean state and action and of the best single feature."""
    compared = [one for one in train if one.kind == "comparison"]
    difference = torch.stack([_difference(one) for one in compared])
    preference = torch.tensor([one.said[0] for one in compared])
    tested = torch.stack([_difference(one) for one in test])
    sign = torch.sign(torch.tensor([one.said[0] for one in test]) - 0.5)
    return {
        "linear on mean features": sign * linear(difference, preference, tested),
        "best single feature": sign * single(difference, preference, tested),
    }


def linear(train: Tensor, preference: Tensor, test: Tensor) -> Tensor:
    """Margins of a linear Bradley-Terry reward on mean features: Newton steps on the ridge-penalised likelihood."""
    scale = train.std(dim=0) + 1e-8
    x, target = (train / scale).double(), preference.double()
    weight = torch.zeros(x.shape[1], dtype=torch.float64)
    for _ in range(20):
        p = (x @ weight).sigmoid()
        hessian = (x * (p * (1 - p))[:, None]).T @ x + torch.eye(len(weight), dtype=torch.float64)
        weight = weight - torch.linalg.solve(hessian, x.T @ (p - target) + weight)
    return (test / scale).double() @ weight


def single(train: Tensor, preference: Tensor, test: Tensor) -> Tensor:
    """Margins of the one feature, with its sign, that orders most of the training pairs as people did."""
    sign = (preference - 0.5).sign()[:, None]
    score = (train.sign() * sign).sum(dim=0)
    best = int(score.abs().argmax())
    return test[:, best] * score[best].sign()


def transitions(segment: Segment) -> Transitions:
    """One segment [1, L, ...]; its last state is its own successor."""
    observations, actions = (torch.from_numpy(array).flatten(start_dim=1)[None] for array in segment)
    following = torch.cat([observations[:, 1:], observations[:, -1:]], dim=1)
    return Transitions(observations, actions, actions, following, torch.zeros(observations.shape[:2]))


def refuse_model(out: Path) -> None:
    """Raise PlauditError where a model is here already."""
    if (out / saved.CARD).exists():
        raise PlauditError(f"{out}: a model is here already; choose another --out")


def _spaces(segment: Segment) -> Spaces:
    observations, actions = (int(array[0].size) for array in segment)
    return Spaces(observations, actions, "continuous")


def _difference(one: Judged) -> Tensor:
    """Mean features of the first segment minus those of the second."""
    sides = [
        torch.cat([torch.from_numpy(array).flatten(start_dim=1).mean(dim=0) for array in segment])
        for segment in one.options
    ]
    return sides[0] - sides[1]


def _refuse_others(segment: Segment, spaces: Spaces, where: str) -> None:
    found = tuple(int(array[0].size) for array in segment)
    if found != (spaces.observation, spaces.action):
        raise PlauditError(
            f"{where}: its steps have {found[0]} numbers of observation and {found[1]} of action, but "
            f"{spaces.observation} and {spaces.action} are wanted; give feedback about one environment"
        )
