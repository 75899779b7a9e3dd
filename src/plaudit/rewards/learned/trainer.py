"""One reward learner, for the live loop, for files and for Python: judgements of every kind in, a fitted model out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, runtime_checkable

import torch

from plaudit.batches.rows import moved
from plaudit.declared import Positive
from plaudit.errors import PlauditError
from plaudit.likelihoods import Said
from plaudit.rewards.learned import fit as fitting
from plaudit.rewards.learned.fit import Options, Plan, Subsample
from plaudit.rewards.learned.people import People, PeopleConfig
from plaudit.rewards.learned.terms import (
    Judgement,
    LikelihoodConfig,
    Term,
    by_kind,
    likelihood_of,
    tensors,
)
from plaudit.trainers.steps import AdamOptimiser


@dataclass(frozen=True)
class LearnedConfig:
    """How a reward is learned from what people say."""

    likelihood: LikelihoodConfig = LikelihoodConfig()
    """How answers depend on the reward."""
    fit: fitting.Config = fitting.Config()
    """How the reward model is fitted."""
    people: PeopleConfig = PeopleConfig()
    """How people are told apart."""
    kinds: dict[Said, Positive] = field(default_factory=dict)
    """How much one judgement of a kind counts, such as {rating: 0.5}; left out: 1."""


@runtime_checkable
class RewardMedium(Protocol[Options, Subsample]):
    """All that differs between rewards of segments and of texts."""

    @property
    def model(self) -> torch.nn.Module:
        """The reward model."""
        ...

    @property
    def usual_rate(self) -> float:
        """The step size that fits it, where nobody gives one."""
        ...

    @property
    def folds(self) -> int:
        """Parts into which answers are divided to see whether they foresee one another; 0: a fit costs too much."""
        ...

    def tensors(self, rows: Sequence[Judgement]) -> Options:
        """The options of judgements of one kind as tensors [R, C, ...]."""
        ...

    def prepare(self, terms: Sequence[Term]) -> None:
        """Before a fit: scale the inputs, once, and see what else there is to learn."""
        ...

    def subsample(self, options: Options, generator: torch.Generator) -> Subsample:
        """What one gradient step looks at, where something of that is drawn."""
        ...

    def returns(self, options: Options, subsample: Subsample | None = None) -> torch.Tensor:
        """What every option is worth to every member, [K, R, C]."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The model with its zero and its scale."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved model."""
        ...


class RewardTrainer(Generic[Options, Subsample]):
    """A reward model with what it takes to learn from judgements; each fit goes on from the one before."""

    def __init__(
        self, medium: RewardMedium[Options, Subsample], config: LearnedConfig, generator: torch.Generator
    ):
        self.medium, self.config, self.generator = medium, config, generator
        self.optimiser = AdamOptimiser(medium.model.parameters(), weight_decay=config.fit.weight_decay)
        self.people = People(config.people)
        self.fits = 0
        self.watch: Callable[[float], None] = lambda share: None
        """Told after every gradient step of a fit what share of it is done."""

    def terms(self, judgements: Sequence[Judgement]) -> list[Term]:
        """One term for each kind among the judgements. PlauditError where those of a kind teach nothing."""
        found = []
        for kind, rows in by_kind(judgements).items():
            people = tuple(one.person for one in rows)
            said = tensors(rows)
            if any(name is not None for name in people):
                said = replace(said, person=self.people.numbers(people))
            weight = self.config.kinds.get(kind, 1.0)
            likelihood = likelihood_of(kind, self.config.likelihood)
            options = self.medium.tensors(rows)
            said = moved(said, next(self.medium.model.parameters()).device)
            found.append(Term(kind, options, said, likelihood, people, weight))
        return found

    def fit(self, judgements: Sequence[Judgement], steps: int | None = None) -> dict[str, float]:
        """Learn from all judgements; returns metrics. PlauditError where the fit diverges."""
        self.people.meet([one.person for one in judgements])
        terms = self.terms(judgements)
        self.medium.prepare(terms)
        plan = self.config.fit
        if steps is None:
            steps = self._first_steps(len(judgements)) if self.fits == 0 else plan.steps
        rate = self.medium.usual_rate if plan.learning_rate is None else plan.learning_rate
        planned = Plan(plan, steps, rate, lambda taken: self.watch(taken / steps))
        metrics = fitting.fit(terms, self.medium, self.optimiser, self.people, planned, self.generator)
        if not self.optimiser.finite:
            raise PlauditError(
                "the fit of the reward has diverged: its weights are no longer finite; lower reward.fit.learning_rate"
            )
        self.fits += 1
        return metrics

    def _first_steps(self, count: int) -> int:
        """However few judgements there are, so many; of many, some passes."""
        plan = self.config.fit
        return max(plan.first_steps, round(plan.passes * count / plan.minibatch_size))

    @torch.no_grad()
    def returns(self, term: Term) -> torch.Tensor:
        """What the options of a term are worth by the model as it is, [R, C]: the mean over its members."""
        return self.medium.returns(term.options).mean(dim=0)

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        return {
            "medium": self.medium.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "people": self.people.state_dict(),
            "fits": self.fits,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.medium.load_state_dict(state["medium"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        if state["people"] is not None:  # a checkpoint of before people were told apart
            self.people.load_state_dict(state["people"])
        self.fits = state["fits"]
