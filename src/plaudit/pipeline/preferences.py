"""The human side of the loop: ask about fresh behaviour, read what was said, refit the reward."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from plaudit.annotators.client import Counts, SimulatedAnnotator, take_turns
from plaudit.batches import Comparisons
from plaudit.environments.control.collect import Walk
from plaudit.feedback import Comparison
from plaudit.likelihoods import bradley_terry
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.pipeline.commands import Commands
from plaudit.pipeline.config import FeedbackSettings, RewardSettings
from plaudit.pipeline.run_folder import seed_of
from plaudit.pipeline.segments import Window, cut, from_bytes, stack, to_bytes
from plaudit.queries import disagreement, random, segments
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.store import LARGEST, NewQuery, Query, Response, Store
from plaudit.trainers import reward_fit
from plaudit.trainers.descent import Adam

SAID = {"first": 1.0, "second": 0.0, "equal": 0.5}


@dataclass(frozen=True)
class Desk:
    """Where queries, answers and segments lie, and who answers in simulation."""

    store: Store
    artifacts: Artifacts
    commands: Commands
    """Wishes about the run: pause, start, stop."""
    people: Sequence[SimulatedAnnotator] = ()
    replay: Any = None
    """Window -> bytes from which the segment can be shown to a person; none: nothing is kept for showing."""


@dataclass(frozen=True)
class _Until:
    """A store as it stood at an answer."""

    store: Store
    seq: int

    def history(self) -> list[Response]:
        return [response for response in self.store.history() if response.seq <= self.seq]

    def queries(self, ids: Sequence[int]) -> list[Query]:
        return self.store.queries(ids)


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
    known: dict[str, Transitions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The optimiser lives as long as the model; the plan of the rounds follows from the settings."""
        fit = self.reward.fit
        self.optimiser = Adam(self.model.parameters(), weight_decay=fit.weight_decay)
        self.plan = schedule(self.settings)
        # those who answer see all of the store; their doubles count as far as the trainer has read
        self.counted = [SimulatedAnnotator(p.name, p.person, p.seed) for p in self.desk.people]

    @property
    def commands(self) -> Commands:
        """Wishes about the run."""
        return self.desk.commands

    def tick(self, walk: Walk, number: int, progress: float) -> dict[str, Any]:
        """Ask what is due about this behaviour, then learn from all answers up to now; returns metrics."""
        while self.asked < len(self.plan) and self.plan[self.asked][0] <= progress:
            self.ask(walk, self.plan[self.asked][1], number)
            self.asked += 1
        if self.desk.people and self.desk.store.pending():
            take_turns(self.desk.people, self.desk.store, self.hidden_rewards)
        self._await_first_answer()
        return self.learn(walk, number) | self._rates()

    def ask(self, walk: Walk, count: int, number: int) -> None:
        """Enqueue comparisons of segments; asking again after a resume changes nothing, the keys are the same."""
        windows = segments.windows(walk.mask, walk.last, self.settings.segment)
        chosen = self._choose(walk, windows, count)
        queries = []
        for i, (first, second) in enumerate(chosen.tolist()):
            places = [
                Window(int(windows[j, 0]), int(windows[j, 1]), self.settings.segment) for j in (first, second)
            ]
            items = tuple(self.desk.artifacts.put(to_bytes(cut(walk.record, place))) for place in places)
            shown = (
                {}
                if self.desk.replay is None
                else {"replays": [self._keep_replay(place) for place in places]}
            )
            queries.append(NewQuery(f"{number}/{self.asked}/{i}", "comparison", items, number, shown))
        self.desk.store.enqueue(queries)

    def learn(self, walk: Walk, number: int) -> dict[str, Any]:
        """Refit where there are new answers; standardise over the policy's behaviour."""
        bound = self.desk.store.bound("trainer", number)
        view = self.desk.store.view(bound)
        fresh = [response for response in view if response.seq > self.cursor]
        self.cursor = bound
        metrics: dict[str, Any] = {}
        pairs = self._pairs(view)
        if fresh and pairs is not None:
            metrics = self._fresh(fresh) | self._refit(pairs)
        self.model.standardise(walk.record, walk.mask)
        return metrics | {"feedback/labels": len(view)}

    def _await_first_answer(self) -> None:
        """Without any answer there is nothing to optimise: wait, politely, until real people have begun."""
        while self.fits == 0 and not self.desk.people and not self.desk.store.view(LARGEST):
            self.commands.obey()
            time.sleep(0.5)

    def _rates(self) -> dict[str, float]:
        """What the simulated people achieved, by their answers up to the cursor.

        Not by all answers: a run that was killed and resumed finds answers of its own future in the store.
        """
        store: Any = _Until(self.desk.store, self.cursor)
        counts = [person.counts(store, self.hidden_rewards) for person in self.counted]
        total = sum(counts, Counts())
        return {f"people/{name}": value for name, value in total.rates().items()} if counts else {}

    def hidden_rewards(self, item: str) -> np.ndarray:
        """What the environment paid on a segment: for simulated people only."""
        return self._segment(item).environment_rewards[0].numpy()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the feedback itself, which the store keeps."""
        return {
            "model": dict(self.model.state_dict()),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "asked": self.asked,
            "cursor": self.cursor,
            "fits": self.fits,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.asked, self.cursor, self.fits = state["asked"], state["cursor"], state["fits"]

    def _choose(self, walk: Walk, windows: torch.Tensor, count: int) -> torch.Tensor:
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

    def _keep_replay(self, place: Window) -> str:
        return self.desk.artifacts.put(self.desk.replay(place))

    def _segment(self, item: str) -> Transitions:
        if item not in self.known:
            self.known[item] = from_bytes(self.desk.artifacts.get(item))
        return self.known[item]

    def _pairs(self, responses: Sequence[Response]) -> reward_fit.Pairs | None:
        """The decided and equal comparisons as tensors; skipped ones and `both bad` say nothing about order."""
        said = [
            r.feedback for r in responses if isinstance(r.feedback, Comparison) and r.feedback.answer in SAID
        ]
        if not said:
            return None
        first, first_mask = stack([self._segment(c.options[0]) for c in said])
        second, second_mask = stack([self._segment(c.options[1]) for c in said])
        preference = torch.tensor([SAID[c.answer] for c in said])
        features = self.model.features
        return reward_fit.Pairs(
            features(first), features(second), first_mask, second_mask, Comparisons(preference)
        )

    def _fresh(self, responses: Sequence[Response]) -> dict[str, Any]:
        """How well the reward of before foretells the new answers: held-out data at no cost in labels."""
        pairs = self._pairs(responses)
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
