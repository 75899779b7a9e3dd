"""The human side of the loop: ask about fresh behaviour, read what was said, refit the reward."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from plaudit.annotators.client import SimulatedAnnotator
from plaudit.environments.control.collect import Walk
from plaudit.errors import PlauditError
from plaudit.likelihoods import bradley_terry
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.pipeline.config import FeedbackSettings, RewardSettings
from plaudit.pipeline.desk import Desk
from plaudit.pipeline.run_folder import seed_of
from plaudit.pipeline.segments import Window
from plaudit.queries import disagreement, random, segments
from plaudit.storage.store import LARGEST, Response
from plaudit.trainers import reward_fit
from plaudit.trainers.descent import Adam


@dataclass
class Preferences:
    """A reward model and the feedback it has learned from."""

    desk: Desk
    settings: FeedbackSettings
    reward: RewardSettings
    model: RewardEnsemble
    generator: torch.Generator
    asked: int = 0
    """Rounds asked so far."""
    cursor: int = 0
    """The last answer learned from."""
    fits: int = 0
    labels: int = 0
    """Answers in the current view."""

    def __post_init__(self) -> None:
        """The optimiser lives as long as the model; the plan of the rounds follows from the settings."""
        fit = self.reward.fit
        self.optimiser = Adam(self.model.parameters(), weight_decay=fit.weight_decay)
        self.plan = schedule(self.settings)

    def tick(self, walk: Walk, number: int, progress: float) -> dict[str, Any]:
        """Ask what is due about this behaviour, then learn from all answers up to now; returns metrics."""
        while self.asked < len(self.plan) and self.plan[self.asked][0] <= progress:
            try:
                pairs = self.choose(walk, self.plan[self.asked][1])
            except PlauditError:
                if self.asked == 0:
                    raise
                break  # this behaviour holds no two such segments: wait for another
            self.ask(walk, pairs, number)
            self.asked += 1
        self.desk.simulate()
        self._await_first_answer()
        return self.learn(walk, number) | self.desk.rates(self.cursor)

    def ask(self, walk: Walk, pairs: list[list[Window]], number: int) -> None:
        """Enqueue comparisons of segments; asking again after a resume changes nothing, the keys are the same."""
        self.desk.store.enqueue(
            [
                self.desk.question(f"{number}/{self.asked}/{i}", number, walk.record, places)
                for i, places in enumerate(pairs)
            ]
        )

    def learn(self, walk: Walk, number: int) -> dict[str, Any]:
        """Refit where there are new answers; standardise over the policy's behaviour."""
        bound = self.desk.store.bound("trainer", number)
        view = self.desk.store.view(bound)
        fresh = [response for response in view if response.seq > self.cursor]
        self.cursor = bound
        metrics: dict[str, Any] = {}
        pairs = self.desk.pairs(view, self.model.features)
        if fresh and pairs is not None:
            metrics = self._fresh(fresh) | self._refit(pairs)
        self.model.standardise(walk.record, walk.mask)
        self.labels = len(view)
        return metrics | {"feedback/labels": self.labels}

    def _await_first_answer(self) -> None:
        """Without any answer there is nothing to optimise: wait, politely, until real people have begun."""
        while self.fits == 0 and not self.desk.people and not self._decided():
            self.desk.commands.obey()
            time.sleep(0.5)

    def _decided(self) -> bool:
        return self.desk.pairs(self.desk.store.view(LARGEST), self.model.features) is not None

    def state_dict(self) -> dict[str, Any]:
        """Everything but the feedback itself, which the store keeps."""
        return {
            "model": dict(self.model.state_dict()),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "asked": self.asked,
            "cursor": self.cursor,
            "fits": self.fits,
            "labels": self.labels,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        answers = len(self.desk.store.history())  # numbered without gaps
        if answers < state["cursor"]:
            raise PlauditError(
                f"feedback.db holds {answers} answers but this run has learned from {state['cursor']}; "
                "restore the file from a copy"
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.asked, self.cursor = state["asked"], state["cursor"]
        self.fits, self.labels = state["fits"], state["labels"]

    def choose(self, walk: Walk, count: int) -> list[list[Window]]:
        """Pairs of segments of this behaviour to ask about; PlauditError where it holds no two."""
        windows = segments.windows(walk.mask, walk.last, self.settings.segment)
        where = [Window(row, start, self.settings.segment) for row, start in windows.tolist()]
        return [[where[j] for j in pair] for pair in self._pairs(walk, windows, count).tolist()]

    def _pairs(self, walk: Walk, windows: torch.Tensor, count: int) -> torch.Tensor:
        apart = segments.apart(windows, self.settings.segment)
        if self.settings.ask == "random" or self.fits == 0:
            return random.pairs(len(windows), count, self.generator, apart)
        candidates = random.pairs(len(windows), count * self.settings.candidates, self.generator, apart)
        with torch.no_grad():
            rewards = self.model(self.model.features(walk.record))
        sums = torch.nn.functional.pad(rewards.cumsum(dim=-1), (1, 0))
        rows, starts = windows.unbind(dim=1)
        returns = sums[:, rows, starts + self.settings.segment] - sums[:, rows, starts]
        return disagreement.pairs(returns, candidates, count, self.generator, self.reward.likelihood.scale)

    def _fresh(self, responses: Sequence[Response]) -> dict[str, Any]:
        """How well the reward of before foretells the new answers: held-out data at no cost in labels."""
        pairs = self.desk.pairs(responses, self.model.features)
        if self.fits == 0 or pairs is None:
            return {}
        with torch.no_grad():
            returns = reward_fit.segment_returns(self.model, pairs).mean(dim=0)
        logits = self.reward.likelihood.scale * (returns[:, 0] - returns[:, 1])
        loss = bradley_terry.loss(returns, pairs.judgements, self.reward.likelihood)
        return {
            "reward/fresh_accuracy": float(loss.metrics["reward/accuracy"]),
            "reward/fresh_nll": float(loss.metrics["reward/nll"]),
            "reward/fresh_probabilities": logits.sigmoid().tolist(),
            "reward/fresh_answers": pairs.judgements.preference.tolist(),
        }

    def _refit(self, pairs: reward_fit.Pairs) -> dict[str, float]:
        fit = self.reward.fit
        if self.model.scaling.count == 0:  # a model to start from brings its own scaling
            self.model.scale_inputs(
                torch.cat([pairs.first[pairs.first_mask], pairs.second[pairs.second_mask]])
            )
        steps = fit.first_steps if self.fits == 0 else fit.steps
        likelihood = reward_fit.Likelihood(bradley_terry, self.reward.likelihood)
        self.fits += 1
        return reward_fit.fit(self.model, self.optimiser, pairs, likelihood, (fit, steps), self.generator)


def schedule(settings: FeedbackSettings) -> list[tuple[float, int]]:
    """(share of the budget, comparisons) of every round: `first` at the start, then shrinking rounds.

    Round i of n asks in proportion to n - i, so that most labels come while behaviour changes most.
    """
    if settings.labels == 0:
        return []
    first = min(settings.first, settings.labels)
    rounds = min(settings.rounds, settings.labels - first)
    if rounds == 0:
        return [(0.0, settings.labels)]
    shares = np.arange(rounds, 0, -1) / (rounds * (rounds + 1) / 2)
    counts = np.diff(np.round(np.cumsum(shares) * (settings.labels - first)).astype(int), prepend=0)
    times = settings.until * np.arange(1, rounds + 1) / rounds
    return [(0.0, first)] + [(float(t), int(c)) for t, c in zip(times, counts, strict=True) if c]


def people(settings: FeedbackSettings, seed: int) -> list[SimulatedAnnotator]:
    """The simulated people of a run, by name."""
    return [
        SimulatedAnnotator(f"simulated-{i}", person, seed_of(seed, "person", i))
        for i, person in enumerate(settings.people)
    ]
