"""A policy at work: what it sees, what it may do, and the noise it explores with."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plaudit.environments.control.vector_env import Source, Step
from plaudit.environments.control.wrappers import to_environment
from plaudit.models.actor_critic import ActorCritic, Population
from plaudit.models.distributions import StateDependentGaussian, weights
from plaudit.models.exploration import StateDependent


@dataclass(frozen=True)
class Taken:
    """One vector step."""

    step: Step
    chosen: np.ndarray
    """What was chosen, in the policy's own terms."""
    legal: np.ndarray | None
    """[N, A] bool: what could have been; none: anything."""


class Actor:
    """Chooses actions in the environments of a source, step after step; its noise begins with it.

    State-dependent noise is drawn at its first step and then every so many steps as the policy says, by the generator
    that draws the actions: whoever goes on from a saved generator with a new actor gets the same.
    """

    def __init__(
        self,
        policy: ActorCritic | Population,
        source: Source,
        generator: torch.Generator,
        greedy: bool = False,
    ):
        self.policy, self.source, self.generator, self.greedy = policy, source, generator, greedy
        exploration = policy.config.exploration if isinstance(policy, ActorCritic) else None
        self.resample = exploration.resample if isinstance(exploration, StateDependent) else None
        self.noise: Tensor | None = None
        """The weights of state-dependent noise, [N, F, A]."""
        self.steps = 0

    def choose(self, observations: np.ndarray) -> np.ndarray:
        """An action for each observation [N, *obs], in the policy's own terms; only legal ones."""
        distribution = self.policy.distribution(torch.from_numpy(flat_rows(observations)))
        if self.source.legal is not None:
            distribution = distribution.among(torch.from_numpy(self.source.legal))
        if self.greedy:
            return distribution.mode().numpy()
        if not isinstance(distribution, StateDependentGaussian):
            return distribution.sample(self.generator).numpy()
        if self.noise is None or (self.resample is not None and self.steps % self.resample == 0):
            self.noise = weights(distribution.log_std, (len(observations),), self.generator)
        self.steps += 1
        return distribution.perturbed(self.noise).numpy()

    def step(self, observations: np.ndarray) -> Taken:
        """Act on observations in all environments."""
        legal, chosen = self.source.legal, self.choose(observations)
        return Taken(self.source.step(to_environment(chosen, self.source.action_space)), chosen, legal)


def flat_rows(observations: np.ndarray) -> np.ndarray:
    """[N, *obs] -> [N, F] float32, what networks take."""
    return np.ascontiguousarray(observations, dtype=np.float32).reshape(len(observations), -1)
