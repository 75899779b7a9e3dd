"""The human side of the loop: ask about fresh behaviour, read what was said, refit the reward."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float
from torch import Tensor

from plaudit.annotators.client import SimulatedAnnotator
from plaudit.annotators.simulated import SimulatedPerson
from plaudit.errors import PlauditError
from plaudit.likelihoods import bradley_terry
from plaudit.pipeline.desk import Desk
from plaudit.seeds import seed_of
from plaudit.storage.commands import POLL_SECONDS
from plaudit.storage.store import LARGEST, NewQuery, Response
from plaudit.trainers import reward_fit

SAID = {"first": 1.0, "second": 0.0, "equal": 0.5}
"""What a comparison's answer says of the first option; skipped ones and `both bad` say nothing about order."""

COUNTS = ("asked", "cursor", "fits", "labels", "owed")
"""What the human side remembers, besides the learner."""

FAREWELL = 60.0
"""Seconds without an answer after which the last update waits no longer for the few questions still open."""


class Rounds(Protocol):
    """When people are asked."""

    @property
    def labels(self) -> int:
        """Comparisons asked for in all."""
        ...

    @property
    def first(self) -> int:
        """Comparisons asked at the very start."""
        ...

    @property
    def rounds(self) -> int:
        """Rounds in which the others are asked."""
        ...

    @property
    def until(self) -> float:
        """Share of the budget after which nothing more is asked."""
        ...

    @property
    def ahead(self) -> int:
        """Questions that may wait for real people while the loop goes on."""
        ...

    @property
    def patience(self) -> float | None:
        """Seconds that it rests without an answer before it goes on all the same."""
        ...


class RewardLearner(Protocol):
    """A reward model with what it takes to learn from comparisons of one kind of behaviour."""

    likelihood: bradley_terry.Config

    def questions(self, behaviour: Any, count: int, key: str, tick: int) -> Iterable[NewQuery]:
        """Comparisons of this behaviour to ask about: fewer where it holds no more, PlauditError where it has none."""
        ...

    def pairs(self, responses: Sequence[Response]) -> Any | None:
        """The decided and equal comparisons as tensors with `judgements`; none where there are none."""
        ...

    def returns(self, pairs: Any) -> Float[Tensor, "P 2"]:
        """What both options of every pair are worth by the model as it is."""
        ...

    def fit(self, pairs: Any, first: bool) -> dict[str, float]:
        """Learn from all pairs; returns metrics."""
        ...

    def settle(self, behaviour: Any) -> None:
        """Fix what comparisons leave open, the scale and the zero, over the policy's behaviour."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes while learning."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        ...


@dataclass
class Preferences:
    """A reward that is learned while behaviour goes on, and the feedback it has learned from."""

    desk: Desk
    settings: Rounds
    learner: Any
    """A `RewardLearner`; none where people are asked and nothing learns from them."""
    asked: int = 0
    """Rounds asked so far."""
    cursor: int = 0
    """The last answer learned from."""
    fits: int = 0
    labels: int = 0
    """Answers in the current view."""
    owed: int = 0
    """Comparisons of earlier rounds for which there was no behaviour to ask about."""

    def __post_init__(self) -> None:
        """The plan of the rounds follows from the settings; nobody has been waited for yet."""
        self.plan = schedule(self.settings)
        self._waiting, self._silence = 0, 0.0

    def tick(self, behaviour: Any, number: int, progress: float) -> dict[str, Any]:
        """Ask what is due about this behaviour, then learn from all answers up to now; returns metrics.

        `progress`: share of the budget spent; 1 where no other update follows.
        """
        self._hear()  # before more is asked, which would hide what was answered
        while self.asked < len(self.plan) and self.plan[self.asked][0] <= progress:
            count = self.plan[self.asked][1] + self.owed
            try:
                asked = self._ask(self.learner.questions(behaviour, count, f"{number}/{self.asked}", number))
            except PlauditError:
                if self.asked == 0:
                    raise
                break  # this behaviour holds no two such segments: wait for another
            self.asked, self.owed = self.asked + 1, count - asked
        self.desk.simulate()
        self._keep_pace(last=progress >= 1)
        if not self._taught():
            raise PlauditError(
                "feedback.people: no answer says which of two options is better, so there is no reward to optimise; "
                "ask for more comparisons first (feedback.first), or let people skip less"
            )
        # more waits than may, and yet it goes on: its patience has run out
        alone = {} if self.desk.people else {"feedback/alone": float(self._waiting > self.settings.ahead)}
        return self.learn(behaviour, number) | self.desk.rates(self.cursor) | alone

    @property
    def notes(self) -> set[str]:
        """What somebody should know once nothing more will be asked."""
        missing = self.owed + sum(count for _, count in self.plan[self.asked :])
        if not missing:
            return set()
        return {
            f"{missing} of the {self.settings.labels} comparisons were never asked: behaviour held no two options "
            "that differ, or the run was over before their round was due (feedback.until)"
        }

    def _ask(self, queries: Iterable[NewQuery]) -> int:
        """Ask, and count; again after a resume changes nothing, as the keys are the same.

        Real people get each question as soon as it is ready: drawing clips takes a while.
        """
        parts = [list(queries)] if self.desk.people else ([query] for query in queries)
        return sum(len(self.desk.store.enqueue(part)) for part in parts)

    def learn(self, behaviour: Any, number: int) -> dict[str, Any]:
        """Refit where there are new answers; settle the scale over the policy's behaviour."""
        bound = self.desk.store.pin_cursor("trainer", number)
        view = self.desk.lessons(bound)
        fresh = [response for response in view if response.seq > self.cursor]
        self.cursor = bound
        metrics: dict[str, Any] = {}
        pairs = self.learner.pairs(view) if fresh else None
        if pairs is not None:
            metrics = self._fresh(fresh) | self.learner.fit(pairs, self.fits == 0)
            metrics["feedback/learned_from"] = len(pairs.judgements.preference)
            self.fits += 1
        self.learner.settle(behaviour)
        self.labels = len(view)
        return metrics | {"feedback/labels": self.labels}

    def _keep_pace(self, last: bool) -> None:
        """Where real people answer: rest, politely, while too many questions wait or nobody has taught anything yet.

        A computer improves a policy in seconds. Without this it would have spent its budget before people have seen
        the second clip; so it stays as far ahead of them as the settings say, and goes on by itself as they answer,
        or once it has rested without an answer for as long as its patience lasts. While it learns, or somebody has
        paused it, people may have nothing to answer: that time does not count. The last update waits for what is still
        open, as long as somebody goes on answering: no answer should be given in vain.
        """
        ahead, patience = self.settings.ahead, self.settings.patience or float("inf")
        while not self.desk.people:
            waiting = self._hear()
            near = waiting <= ahead and (not last or not waiting or self._silence >= FAREWELL)
            if (near or self._silence >= patience) and (self._taught() or not waiting):
                return
            self.desk.commands.obey()
            began = time.monotonic()
            time.sleep(POLL_SECONDS)
            self._silence += time.monotonic() - began

    def _hear(self) -> int:
        """How many questions wait; fewer than before, and the silence is over."""
        waiting = self.desk.store.pending()
        if waiting < self._waiting:
            self._silence = 0.0
        self._waiting = waiting
        return waiting

    def _taught(self) -> bool:
        """Whether any answer yet says something of order."""
        return self.fits > 0 or self.learner.pairs(self.desk.lessons(LARGEST)) is not None

    def state_dict(self) -> dict[str, Any]:
        """Everything but the feedback itself, which the store keeps."""
        counts = {name: getattr(self, name) for name in COUNTS}
        return counts | {"learner": None if self.learner is None else self.learner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        answers = self.desk.store.count_answers()
        if answers < state["cursor"]:
            raise PlauditError(
                f"feedback.db holds {answers} answers but this run has learned from {state['cursor']}; "
                "put it back from its copy: plaudit restore RUN"
            )
        for name in COUNTS:
            setattr(self, name, state[name])
        if self.learner is not None:
            self.learner.load_state_dict(state["learner"])

    def _fresh(self, responses: Sequence[Response]) -> dict[str, Any]:
        """How well the reward of before foretells the new answers: held-out data at no cost in labels."""
        pairs = None if self.fits == 0 else self.learner.pairs(responses)
        return {} if pairs is None else foretold(self.learner, pairs)


def foretold(learner: Any, pairs: Any) -> dict[str, Any]:
    """How well a reward foretells answers it has not learned from."""
    returns = learner.returns(pairs)
    logits = bradley_terry.logits(returns, pairs.judgements, learner.likelihood)
    first, _ = bradley_terry.log_probabilities(logits, pairs.judgements, learner.likelihood)
    likelihood = reward_fit.Likelihood(bradley_terry, learner.likelihood)
    metrics = reward_fit.assess(returns, pairs.judgements, likelihood)
    return {
        "reward/fresh_accuracy": metrics["reward/accuracy"],
        "reward/fresh_nll": metrics["reward/nll"],
        "reward/fresh_probabilities": first.exp().tolist(),
        "reward/fresh_answers": pairs.judgements.preference.tolist(),
    }


def schedule(settings: Rounds) -> list[tuple[float, int]]:
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


def people(persons: Sequence[SimulatedPerson], seed: int) -> list[SimulatedAnnotator]:
    """The simulated people of a run, by name."""
    return [
        SimulatedAnnotator(f"simulated-{i}", person, seed_of(seed, "person", i))
        for i, person in enumerate(persons)
    ]
