"""Reward from a discriminator that tells a demonstrator's decisions from the policy's (adversarial imitation)."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Loss, Rewards
from plaudit.declared import Dataclass
from plaudit.environments.control.rollouts import Trajectories
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.rewards.config import DiscriminatorConfig
from plaudit.trainers.steps import AdamOptimiser, Descent, descend


class Discriminator:
    """A `RewardSource`: its network learns from each rollout, then pays the policy for it.

    The algorithm's module has `loss(expert, policy, config)` and `reward(logits, config)`.
    """

    def __init__(
        self,
        model: RewardEnsemble,
        demonstrations: Transitions,
        algorithm: ModuleType,
        settings: Dataclass,
        config: DiscriminatorConfig,
        generator: torch.Generator,
    ):
        self.model, self.algorithm, self.settings, self.config = model, algorithm, settings, config
        self.generator = generator
        self.expert = model.features(demonstrations).flatten(end_dim=1)
        self.optimiser = AdamOptimiser(model.parameters(), weight_decay=config.weight_decay)

    def observe(self, behaviour: Trajectories, progress: float) -> dict[str, Any]:
        """Some steps down the discriminator's loss, on fresh decisions beside demonstrated ones."""
        policy = self.model.features(behaviour.record)[behaviour.mask]
        if self.model.scaling.count == 0:
            self.model.scale_inputs(torch.cat([self.expert, policy]))
        metrics: dict[str, Tensor] = {}
        for _ in range(self.config.steps):
            objective = _Sides(self, self._some(self.expert), self._some(policy))
            how = Descent(self.config.learning_rate)
            metrics = descend(objective, self.optimiser, how).loss.metrics
        return {name: float(value) for name, value in metrics.items()}

    def rewards(self, behaviour: Trajectories) -> Rewards:
        """What the algorithm makes of the logits."""
        with torch.no_grad():
            logits = self.logits(self.model.features(behaviour.record))
            dense = torch.where(behaviour.mask, self.algorithm.reward(logits, self.settings), 0.0)
        return Rewards(dense.double().sum(dim=1).float(), dense)

    def logits(self, features: Float[Tensor, "B T F"]) -> Float[Tensor, "B T"]:
        """The log-odds that a decision is the demonstrator's: the mean over the members."""
        return self.model(features).mean(dim=0)

    def state_dict(self) -> dict[str, Any]:
        """The network and what trains it."""
        return {
            "model": dict(self.model.state_dict()),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])

    def _some(self, features: Float[Tensor, "N F"]) -> Float[Tensor, "n F"]:
        rows = torch.randint(len(features), (self.config.minibatch_size,), generator=self.generator)
        return features[rows]


@dataclass(frozen=True)
class _Sides:
    """The objective of one gradient step."""

    discriminator: Discriminator
    expert: Float[Tensor, "n F"]
    policy: Float[Tensor, "n F"]

    @property
    def rows(self) -> int:
        return len(self.expert) + len(self.policy)

    def outputs(self, rows: slice) -> Float[Tensor, "N"]:
        both = torch.cat([self.expert, self.policy])[rows]
        return self.discriminator.logits(both[:, None])[:, 0]

    def loss(self, outputs: Float[Tensor, "N"]) -> Loss:
        d, count = self.discriminator, len(self.expert)
        return Loss.of(d.algorithm.loss(outputs[:count], outputs[count:], d.settings))
