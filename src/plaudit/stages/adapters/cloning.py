"""Cloning a control policy from demonstrations, and whether anything came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plaudit.environments.control.make import make
from plaudit.environments.control.rollouts import true_returns
from plaudit.environments.control.wrappers import clipped
from plaudit.models.actor_critic import ActorCritic, PolicyConfig
from plaudit.models.demonstrated import Demonstrated
from plaudit.models.moments import RunningMoments
from plaudit.readers.arrays import read_demonstrations
from plaudit.runs import saved
from plaudit.runs.returns import Returns, change
from plaudit.runs.streams import generator
from plaudit.seeds import seed_of
from plaudit.stages.adapters.control_data import cloned, split
from plaudit.stages.pretrain_config import PretrainControl

RISING = 0.05
"""Nats per step that the held-out log-probability must gain over the later half of training to count as still rising,
and lose from its best to count as fallen."""
PREDICTED = 0.1
"""Share of the entropy of the actions that observations must explain; below that they say nothing about actions."""
SCALES = (0.2, 5.0)
"""Standard deviations of an observation beyond which it is far from the scale that a network begins with."""


@dataclass(frozen=True)
class Fit:
    """How a clone was fitted: what is asked where it acts badly."""

    held_out: Sequence[float]
    """Held-out negative log-probability per step, report by report."""
    unconditional: float
    """The same of the best policy that sees no observation."""
    scales: np.ndarray
    """[F] standard deviations of the observations as the network sees them."""
    episodes: int
    """Demonstrated episodes."""


class CloningData:
    """What a policy learns from a demonstrator."""

    def __init__(self, config: PretrainControl, place: str):
        self.config = config
        steps = read_demonstrations(Path(place))
        if config.episodes is not None:
            steps = steps.first_episodes(config.episodes)
        self.steps = steps
        source = make(config.environment)
        try:
            everything = cloned(steps, source)
            bounded = clipped(source.action_space)
            self.network = ActorCritic(source.spaces, config.policy, generator(config.seed, "policy"))
        finally:
            source.close()
        self.policy = Demonstrated(self.network, None if bounded is None else torch.from_numpy(bounded))
        self.everything = everything
        self.network.observe(everything.record.observations[:, 0])
        if config.policy.normalise_observations:
            _keep_constants(self.network.moments)
        self.train, self.held_out = split(everything, config.held_out, generator(config.seed, "held out"))
        self.shuffles = generator(config.seed, "minibatches")

    def save(self, out: Path, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Write the clone; returns its true return, beside those of acting at random and of the demonstrator."""
        config, seed = self.config, seed_of(self.config.seed, "evaluation")
        saved.save_policy(out, self.network, config.environment)
        environment, count = config.environment, config.evaluate_count
        found = Returns.of(true_returns(self.network, environment, count, seed))
        # a network's first actions, drawn, are all but independent of what it sees
        untrained = ActorCritic(
            self.network.spaces, PolicyConfig(critic=False), generator(config.seed, "at random")
        )
        random = Returns.of(true_returns(untrained, environment, count, seed, greedy=False))
        shown = None if self.steps.returns is None else Returns.of(self.steps.returns)
        fit = Fit(
            [row["val/nll_avg"] for row in reports],
            self._unconditional(),
            self._scales(),
            int(self.steps.starts.sum()) or 1,
        )
        return {
            "return_mean": found.mean,
            "return_std": found.std,
            "episodes": found.episodes,
            "return_mean_random": random.mean,
            "return_mean_demonstrated": None if shown is None else shown.mean,
            "doubt": doubt(found, random, shown, fit),
        }

    def _scales(self) -> np.ndarray:
        seen = self.everything.record.observations[:, 0]
        if self.config.policy.normalise_observations:
            seen = self.network.moments.standardise(seen)
        return seen.std(dim=0, correction=0).numpy()

    def _unconditional(self) -> float:
        """Of discrete actions the entropy of frequencies, summed over choices; of continuous ones that of a normal
        distribution per dimension, which is what the best one fitted to all actions pays."""
        actions = self.everything.record.actions[:, 0]
        if self.network.spaces.kind != "continuous":
            shares = [
                column.bincount() / len(column) for column in actions.long().reshape(len(actions), -1).T
            ]
            return float(sum(-torch.xlogy(share, share).sum() for share in shares))
        std = actions.std(dim=0, correction=0).clamp(min=1e-6)
        return float((std.log() + 0.5 * np.log(2 * np.pi * np.e)).sum())


def doubt(found: Returns, random: Returns, shown: Returns | None, fit: Fit) -> str | None:
    """A sentence where a clone is not clearly better than acting at random: the likeliest cause, and what to do."""
    changed = change(random, found)
    if changed is None or changed.verdict == "better":
        return None
    beside = "" if shown is None else f"; the demonstrations: {shown.mean:.1f}"
    told = f"the clone is no better than acting at random ({found.mean:.1f} and {random.mean:.1f}{beside}): "
    return told + _cause(random, shown, fit)


def _cause(random: Returns, shown: Returns | None, fit: Fit) -> str:
    if shown is not None and shown.mean <= random.mean:
        return "nor are the demonstrations; give better ones, or see that they are of this environment"
    last, least = fit.held_out[-1], min(fit.held_out)
    low, high = SCALES
    constant = fit.scales == 0
    if ((fit.scales < low) & ~constant).any() or (fit.scales > high).any():
        return (
            f"observations are of very different scales (standard deviations {fit.scales.min():.2g} to "
            f"{fit.scales.max():.2g}); set policy.normalise_observations"
        )
    half = fit.held_out[(len(fit.held_out) - 1) // 2]
    if len(fit.held_out) < 4 or (half - last > RISING and last - least < RISING):
        return (
            "the log-probability of held-out actions was still rising when training ended, so it was too short; raise "
            "trainer.epochs"
        )
    if last - least > RISING:
        return (
            f"the log-probability of held-out actions fell again while training went on, so {fit.episodes} episodes "
            "are learned by heart; give more demonstrations, or lower trainer.epochs"
        )
    if fit.unconditional - last < PREDICTED * abs(fit.unconditional):
        return (
            "held-out actions are hardly predictable from the observations; see that the rows of obs and actions "
            "belong together and that obs holds all the demonstrator saw"
        )
    return (
        f"it imitates held-out steps well, but its small mistakes lead to states that {fit.episodes} episodes do not "
        "show; give more demonstrations, from more different states"
    )


def _keep_constants(moments: RunningMoments) -> None:
    """Give observations that never vary in the demonstrations the variance 1: divided by almost nothing, the first
    other value they take would be beyond anything the clone has learned from."""
    constant = moments.var < 1e-12 * (1 + moments.mean**2)
    moments.square = torch.where(constant, moments.count, moments.square)
