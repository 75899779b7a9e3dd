"""Learn from the returns of perturbed parameters: ask for some, let each behave, tell what they were worth."""

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import torch

from plaudit.declared import Count, NonNegative
from plaudit.errors import Diverged, PlauditError
from plaudit.trainers.learner import Actor, Masked, RewardSource, Rollouts
from plaudit.trainers.on_policy import Algorithm
from plaudit.trainers.steps import AdamOptimiser

Behaviour = TypeVar("Behaviour", bound=Masked)
"""What a medium calls behaviour."""


@dataclass(frozen=True)
class Config:
    """How the parameters move."""

    learning_rate: NonNegative = 3e-2
    """Step size of Adam at the start."""
    schedule: Literal["constant", "linear"] = "linear"
    """The step size stays, or falls linearly to 0 over the budget."""
    episodes: Count = 1
    """Episodes, or completions, of each perturbation."""


@dataclass
class Search:
    """A policy with what moves it."""

    policy: Any
    algorithm: Algorithm
    config: Config
    generator: torch.Generator
    """Draws perturbations."""

    def __post_init__(self) -> None:
        """The optimiser takes the policy's parameters over."""
        self.optimiser = AdamOptimiser(self.policy.parameters())


class Evolution(Generic[Behaviour, Actor]):
    """A `Learner`: one step is one generation.

    The algorithm's module has `ask(centre, config, generator)` and `tell(centre, tried, fitness, config)`, the
    direction in which fitness grows.
    """

    def __init__(
        self,
        search: Search,
        rollouts: Rollouts[Behaviour, Actor, None],
        rewards: RewardSource[Behaviour],
        budget: int,
    ):
        self.policy, self.algorithm, self.config = search.policy, search.algorithm, search.config
        self.generator, self.optimiser = search.generator, search.optimiser
        self.rollouts, self.rewards, self.budget = rollouts, rewards, budget
        self.updates, self.spent = 0, 0

    @property
    def progress(self) -> float:
        """Share of the budget that is spent."""
        return self.spent / self.budget

    @property
    def done(self) -> bool:
        """The budget is spent."""
        return self.spent >= self.budget

    def step(self) -> dict[str, Any]:
        """One generation; returns metrics."""
        flat, module, left = self.optimiser.flat, self.algorithm.module, self.budget - self.spent
        centre, before = flat.vector.clone(), self.progress
        tried = module.ask(centre, self.algorithm.settings, self.generator)
        behaviour = self.rollouts.collect(self.policy.population(tried), left)
        cost = self.rollouts.cost(behaviour)
        progress = 1.0 if left - cost < self.rollouts.size else before
        metrics = self.rewards.observe(behaviour, progress)
        paid = self.rewards.rewards(behaviour)
        self.spent += cost
        self.updates += 1
        cut = (
            cost == left and not behaviour.mask.any(dim=1).all()
        )  # by the end of the budget: no fair comparison
        if cut or not paid.taught:
            return behaviour_metrics(behaviour) | paid.metrics | metrics
        fitness = paid.scores.reshape(len(tried), -1).mean(dim=1)
        if not torch.isfinite(fitness).all():
            raise PlauditError(f"{self.algorithm.name}: a fitness is not finite; mend the reward")
        flat.assign(centre)
        flat.gradient.copy_(-module.tell(centre, tried, fitness, self.algorithm.settings))
        rate = self.config.learning_rate * (1 - before if self.config.schedule == "linear" else 1.0)
        norm = self.optimiser.finish(rate, None)
        if not self.optimiser.finite:
            raise Diverged("the weights are")
        return (
            behaviour_metrics(behaviour)
            | paid.metrics
            | metrics
            | {
                "evolution/fitness_mean": float(fitness.mean()),
                "evolution/fitness_max": float(fitness.max()),
                "evolution/fitness_std": float(fitness.std(correction=0)),
                "policy/grad_norm": float(norm),
                "policy/learning_rate": rate,
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        return {
            "policy": self.policy.trainable(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "rollouts": self.rollouts.state_dict(),
            "rewards": self.rewards.state_dict(),
            "updates": self.updates,
            "spent": self.spent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where a saved state stood."""
        self.policy.restore(state["policy"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.rollouts.load_state_dict(state["rollouts"])
        self.rewards.load_state_dict(state["rewards"])
        self.updates, self.spent = state["updates"], state["spent"]


def behaviour_metrics(behaviour: object) -> dict[str, float]:
    """What happened while collecting."""
    return dict(getattr(behaviour, "metrics", {}))
