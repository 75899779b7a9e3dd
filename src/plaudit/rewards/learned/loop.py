"""The human side of the loop, as a source of reward: ask about fresh behaviour, read what was said, refit, pay."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Generic, Protocol, runtime_checkable

import numpy as np

from plaudit.annotators.client import Counts, SimulatedAnnotator, take_turns
from plaudit.annotators.simulated import SimulatedPerson
from plaudit.batches import Rewards
from plaudit.errors import PlauditError
from plaudit.rewards.config import FeedbackConfig
from plaudit.rewards.learned.calibration import (
    beats_a_coin,
    consistency,
    forecast,
    foreseen,
    held_out,
    reliabilities,
)
from plaudit.rewards.learned.terms import Judgement, decided, informative, of_responses
from plaudit.rewards.learned.trainer import RewardTrainer
from plaudit.seeds import seed_of
from plaudit.storage.answer_log import AnswerLog
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.store import LARGEST, POLL_SECONDS, Commands, NewQuery, Purpose, Response, Store
from plaudit.trainers.learner import Behaviour, Paid


@dataclass
class FeedbackSession:
    """Where queries, answers and what they are about lie, and who answers in simulation."""

    store: Store
    artifacts: Artifacts
    commands: Commands
    """Wishes about the run: pause, start, stop."""
    gold_rewards: Callable[[str], np.ndarray]
    """What an option is truly worth, by its content hash: for simulated people only."""
    people: Sequence[SimulatedAnnotator] = ()

    def __post_init__(self) -> None:
        """One log for simulated people, who read to the end, and one for what is learned, up to a cursor."""
        self.log, self._peoples = AnswerLog(self.store), AnswerLog(self.store)

    def enqueue(self, queries: Iterator[NewQuery]) -> int:
        """Ask; how many that was. Real people get each question as soon as it is ready: drawing clips takes a while."""
        parts = [list(queries)] if self.people else ([query] for query in queries)
        return sum(len(self.store.enqueue(part)) for part in parts)

    def simulate(self) -> None:
        """Let the simulated people answer what waits."""
        if self.people and self.store.pending():
            take_turns(self.people, self._peoples, self.gold_rewards)

    def rates(self, upto: int) -> dict[str, float]:
        """What the simulated people achieved with the answers up to a cursor.

        Not with all answers: a run that was killed and resumed finds answers of its own future in the store.
        """
        if not self.people:
            return {}
        counts = [person.counts(self._peoples, self.gold_rewards, upto) for person in self.people]
        return {f"people/{name}": value for name, value in sum(counts, Counts()).rates().items()}

    def read(self, upto: int) -> list[Response]:
        """The answers that came since the last reading, up to a cursor."""
        return self.log.read(upto)

    def standing(self, purpose: str = "train") -> list[Response]:
        """The standing answers up to where was read, to questions of one purpose."""
        known = self.log.queries
        return [one for one in self.log.view if known[one.query_id].purpose == purpose]


def simulated_people(persons: Sequence[SimulatedPerson], seed: int) -> list[SimulatedAnnotator]:
    """The simulated people of a run, by name."""
    return [
        SimulatedAnnotator(f"simulated-{i}", person, seed_of(seed, "person", i))
        for i, person in enumerate(persons)
    ]


PATIENCE_AT_THE_END = 60.0
"""Seconds without an answer after which the last update waits no longer for the few questions still open."""


class Pace:
    """Rests, politely, while too many questions wait or nobody has taught anything yet.

    A computer improves a policy in seconds. Without this it would have spent its budget before people have seen the
    second clip; so it stays as far ahead of them as the settings say, and goes on by itself as they answer, or once it
    has rested without an answer for as long as its patience lasts. While it learns, or somebody has paused it, people
    may have nothing to answer: that time does not count.
    """

    def __init__(self, session: FeedbackSession, config: FeedbackConfig):
        self.session, self.config = session, config
        self.waiting = 0
        """Questions that waited when it last looked."""
        self.silence = 0.0
        """Seconds rested since the last answer."""

    def keep(self, taught: Callable[[], bool], last: bool) -> None:
        """Returns once the loop may go on; at once where people are simulated.

        `taught`: whether any answer says something yet. The last update waits for what is still open, as long as
        somebody goes on answering: no answer should be given in vain.
        """
        ahead, patience = self.config.ahead, self.config.patience or float("inf")
        while not self.session.people:
            waiting = self.hear()
            near = waiting <= ahead and (not last or not waiting or self.silence >= PATIENCE_AT_THE_END)
            if (near or self.silence >= patience) and (taught() or not waiting):
                return
            self.session.commands.obey()
            began = time.monotonic()
            time.sleep(POLL_SECONDS)
            self.silence += time.monotonic() - began

    def hear(self) -> int:
        """How many questions wait; fewer than before, and the silence is over."""
        waiting = self.session.store.pending()
        if waiting < self.waiting:
            self.silence = 0.0
        self.waiting = waiting
        return waiting


PROBE = 10
"""Questions asked first, while nobody has told two options apart."""
COUNTS = ("asked", "cursor", "labels", "owed", "ticks")
"""What the human side remembers, besides the reward and its questions."""


@runtime_checkable
class Questions(Protocol[Paid]):
    """What a medium can ask about, and what its reward pays."""

    notes: set[str]
    """What somebody should know about asking here."""

    def ask(self, behaviour: Paid, wanted: Sequence["Wanted"], tick: int) -> Iterable[NewQuery]:
        """Questions about this behaviour: fewer where it holds no more, PlauditError where it has none."""
        ...

    def normalise(self, behaviour: Paid, refitted: bool) -> None:
        """Fix what comparisons leave open, the scale and the zero."""
        ...

    def heard(self, standing: Sequence[Response]) -> None:
        """All answers that are learned from: what people can decide is asked about more."""
        ...

    def rewards(self, behaviour: Paid) -> Rewards:
        """What the reward pays for this behaviour."""
        ...

    def exploring(self, behaviour: Paid) -> Rewards:
        """What is paid while nothing that was asked about differs."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What draws the questions."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        ...


@dataclass(frozen=True)
class Wanted:
    """One question that is due."""

    key: str
    kind: str
    purpose: Purpose


class FeedbackLoop(Generic[Behaviour]):
    """A `RewardSource` that is learned while behaviour goes on."""

    def __init__(
        self,
        session: FeedbackSession,
        config: FeedbackConfig,
        trainer: RewardTrainer,
        questions: Questions[Behaviour],
    ):
        self.session, self.config, self.trainer, self.questions = session, config, trainer, questions
        self.asked = 0
        """Rounds asked so far."""
        self.cursor = 0
        """The last answer learned from."""
        self.labels = 0
        """Answers in the current view."""
        self.owed = 0
        """Questions of earlier rounds for which there was no behaviour to ask about."""
        self.ticks = 0
        self.plan = schedule(config)
        self.shares: dict[str, float] = {name: share for name, share in config.kinds.items() if share}
        self.by_kind = dict.fromkeys(self.shares, 0)
        self.pace = Pace(session, config)
        self.proven = False
        """The answers foresee one another better than a coin would, or the reward was good enough to start from."""
        self._untaught = deepcopy(trainer.state_dict()) if trainer.medium.folds else None

    def observe(self, behaviour: Behaviour, progress: float) -> dict[str, Any]:
        """Ask what is due about this behaviour, then learn from all answers up to now; returns metrics."""
        self.pace.hear()  # before more is asked, which would hide what was answered
        while self.asked < len(self.plan) and self.plan[self.asked].progress <= progress:
            count = self.plan[self.asked].questions + self.owed
            last = progress >= 1
            try:
                asked = self._ask(behaviour, count, last)
            except PlauditError:
                if self.asked == 0:
                    raise
                break  # this behaviour holds nothing to ask about: wait for another
            self.asked, self.owed = self.asked + 1, count - asked
        self.session.simulate()
        self.pace.keep(self._taught, last=progress >= 1)
        if progress >= 1 and not self._taught():
            raise PlauditError(
                "feedback.people: no answer says which of two options is better, so there was no reward to optimise; "
                "ask for more (feedback.labels), let people skip less, or give the run a longer budget to explore in"
            )
        # more waits than may, and yet it goes on: its patience has run out
        simulated = bool(self.session.people)
        alone = {} if simulated else {"feedback/alone": float(self.pace.waiting > self.config.ahead)}
        metrics = self._learn(behaviour) | self.session.rates(self.cursor) | alone
        self.ticks += 1
        return metrics

    def rewards(self, behaviour: Behaviour) -> Rewards:
        """By the reward as it is, once it is known to be worth anything; before that the policy stays as it is, and
        where nothing that was asked about differs it goes exploring."""
        if not self.trainer.fits and not self.proven:
            return self.questions.exploring(behaviour)
        return replace(self.questions.rewards(behaviour), taught=self.proven)

    @property
    def fits(self) -> int:
        """Times the reward was fitted."""
        return self.trainer.fits

    @property
    def notes(self) -> set[str]:
        """What somebody should know once nothing more will be asked."""
        missing = self.owed + sum(one.questions for one in self.plan[self.asked :])
        if not missing:
            return set(self.questions.notes)
        return self.questions.notes | {
            f"{missing} of the {self.config.labels} questions were never asked: behaviour held no options that differ, "
            "or the run was over before their round was due (feedback.until)"
        }

    def _ask(self, behaviour: Behaviour, count: int, last: bool) -> int:
        """Ask, and count; again after a resume changes nothing, as the keys are the same.

        While nobody has told two options apart a few questions come first, and the others only once that has happened:
        before a policy has reached anything that matters they would all be asked in vain.
        """
        queries = iter(self.questions.ask(behaviour, self._wanted(count), self.ticks))
        if self._taught():
            return self.session.enqueue(queries)
        asked = self.session.enqueue(islice(queries, PROBE))
        self.session.simulate()
        self.pace.keep(self._taught, last)
        return asked + self.session.enqueue(queries) if self._taught() else asked

    def _wanted(self, count: int) -> list[Wanted]:
        """So many questions, of the kinds that are behind their share; the last ones are held out."""
        held_out = round(self.config.held_out * count)
        found = []
        for i in range(count):
            kind = min(self.shares, key=lambda name: (self.by_kind[name] + 1) / self.shares[name])
            self.by_kind[kind] += 1
            purpose: Purpose = "held_out" if i >= count - held_out else "train"
            found.append(Wanted(f"{self.ticks}/{self.asked}/{i}", kind, purpose))
        return found

    def _learn(self, behaviour: Behaviour) -> dict[str, Any]:
        """Refit where there are new answers; fix the scale over the policy's behaviour."""
        bound = self.session.store.pin_cursor("trainer", self.ticks)
        news = self.session.read(bound)
        fresh = [one for one in news if self.session.log.queries[one.query_id].purpose == "train"]
        self.cursor = bound
        metrics = self._taught_by(news, fresh) if news else {}
        self.questions.normalise(behaviour, bool(metrics.get("feedback/refitted")))
        return metrics | {"feedback/labels": self.labels}

    def _taught_by(self, news: Sequence[Response], fresh: Sequence[Response]) -> dict[str, Any]:
        """What new answers change; without any nothing is read again."""
        standing = self.session.standing()
        self.labels = len(standing)
        self.questions.heard(standing)
        metrics: dict[str, Any] = {}
        judgements = of_responses(standing) if fresh else []
        if informative(judgements):
            # how well the reward of before forecasts the new answers: held-out data at no cost in labels
            metrics = forecast(self.trainer, of_responses(fresh)) if self.trainer.fits else {}
            metrics |= self._prove(judgements)
            metrics |= self.trainer.fit(judgements)
            metrics |= {"feedback/learned_from": len(judgements), "feedback/refitted": 1.0}
            metrics |= reliabilities(self.trainer.people)
        told = [one for one in judgements if len(one.options) > 1]
        if told:
            metrics["feedback/informative"] = sum(decided(one) for one in told) / len(told)
        if self.config.held_out and self.trainer.fits:
            metrics |= held_out(self.trainer, of_responses(self.session.standing("held_out")))
        return metrics | consistency(standing, self.session.standing("repeat"))

    def _prove(self, judgements: Sequence[Judgement]) -> dict[str, float]:
        """Whether these answers foresee one another: a reward of which that is not known moves no policy."""
        if self.proven:
            return {}
        seen = foreseen(self.trainer, judgements, self._untaught)
        self.proven = beats_a_coin(seen)
        return {} if not seen.answers else {"reward/foreseen": seen.right / seen.answers}

    def _taught(self) -> bool:
        """Whether any answer yet tells a better option from a worse one."""
        if self.trainer.fits:
            return True
        store = self.session.store
        training = {query.id for query in store.queries() if query.purpose == "train"}
        return informative(of_responses(one for one in store.view(LARGEST) if one.query_id in training))

    def state_dict(self) -> dict[str, Any]:
        """Everything but the feedback itself, which the store keeps."""
        return {name: getattr(self, name) for name in COUNTS} | {
            "by_kind": dict(self.by_kind),
            "proven": self.proven,
            "trainer": self.trainer.state_dict(),
            "questions": self.questions.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        answers = self.session.store.count_answers()  # numbered without gaps
        if answers < state["cursor"]:
            raise PlauditError(
                f"feedback.db holds {answers} answers but this run has learned from {state['cursor']}; "
                "put it back from its copy: plaudit restore RUN"
            )
        for name in COUNTS:
            setattr(self, name, state[name])
        self.proven = state.get("proven", self.labels > 0)  # a checkpoint of before that was asked
        self.by_kind |= state["by_kind"]
        self.session.read(self.cursor)
        self.questions.heard(self.session.standing())
        self.trainer.load_state_dict(state["trainer"])
        self.questions.load_state_dict(state["questions"])


@dataclass(frozen=True)
class Round:
    """So many questions are asked once this share of the budget is spent."""

    progress: float
    questions: int


def schedule(config: FeedbackConfig) -> list[Round]:
    """Every round: `first` at the start, then shrinking rounds.

    Round i of n asks in proportion to n - i, so that most labels come while behaviour changes most.
    """
    if config.labels == 0:
        return []
    first = min(config.first, config.labels)
    rounds = min(config.rounds, config.labels - first)
    if rounds == 0:
        return [Round(0.0, config.labels)]
    shares = np.arange(rounds, 0, -1) / (rounds * (rounds + 1) / 2)
    counts = np.diff(np.round(np.cumsum(shares) * (config.labels - first)).astype(int), prepend=0)
    times = config.until * np.arange(1, rounds + 1) / rounds
    later = [Round(float(t), int(c)) for t, c in zip(times, counts, strict=True) if c]
    return [Round(0.0, first), *later]
