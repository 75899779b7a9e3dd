"""Simulated people as clients of the store: they claim a question, answer and submit, as real people do."""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, takewhile
from uuid import UUID, uuid5

import numpy as np
from jaxtyping import Float

from plaudit.annotators.simulated import (
    Answer,
    Cuts,
    SimulatedPerson,
    approve,
    cuts,
    draws,
    felt_returns,
    judge,
    mistaken,
    rank,
    rate,
    scale_values,
)
from plaudit.errors import PlauditError
from plaudit.feedback import KINDS, Feedback, options_of
from plaudit.feedback.kind import Order
from plaudit.storage.answer_log import AnswerLog
from plaudit.storage.store import LARGEST, NewResponse, Query, Response

RewardsOf = Callable[[str], np.ndarray]
"""The true rewards of a segment's steps [L] by its content hash, hidden from everyone else."""

LEASE_SECONDS = 600.0
"""How long a question is held while it is answered; after a crash others wait no longer than this."""

NAMESPACE = UUID("6f1c2f6e-8a70-5c0e-9c0b-2f6c8a7d4b11")
"""Any fixed UUID: the names in it are simulated decisions."""


@dataclass(frozen=True)
class Counts:
    """What became of questions: achieved, not asked for."""

    answers: int = 0
    decided: int = 0
    """Those that say something definite: not skipped, and not that all options are equal."""
    equal: int = 0
    skip: int = 0
    mistakes: int = 0
    """Decided answers that were flipped."""
    ordered: int = 0
    """Pairs that were put in an order, by a comparison or within a ranking, and whose true returns differ."""
    agree: int = 0
    """Those among `ordered` that put the option with the larger true return first."""
    pairs: int = 0
    """Pairs that were asked about, by a comparison or within a ranking, whatever was said of them."""
    tied: int = 0
    """Those among `pairs` whose true returns are exactly the same: no order of these is right or wrong."""

    def __add__(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    def rates(self) -> dict[str, float]:
        """Shares: equal and skip of the answers, mistakes of the decided, agreement of the pairs with an order whose
        true returns differ, tied of the pairs that were asked about.

        0 where there is nothing to take a share of.
        """
        return {
            "equal": self.equal / max(self.answers, 1),
            "skip": self.skip / max(self.answers, 1),
            "mistakes": self.mistakes / max(self.decided, 1),
            "agreement": self.agree / max(self.ordered, 1),
            "tied": self.tied / max(self.pairs, 1),
        }


class Population:
    """The distinct options of all questions up to a tick; what is asked later is added, nothing is read twice."""

    def __init__(self) -> None:
        self._by_tick: dict[int, list[str]] = {}
        self._newest_query = 0
        self._tick = 0
        self._items: dict[str, None] = {}  # a set that keeps its order

    def upto(self, log: AnswerLog, tick: int) -> list[str]:
        """The options by the questions that the log knows, each once."""
        known = reversed(log.queries.values())
        for query in takewhile(lambda query: query.id > self._newest_query, known):
            self._by_tick.setdefault(query.tick, []).extend(query.items)
            if query.tick <= self._tick:
                self._items.update(dict.fromkeys(query.items))
        self._newest_query = next(reversed(log.queries), 0)
        first = self._tick
        if tick < self._tick:  # an old question that somebody gave back
            self._items, first = {}, -LARGEST
        for other in sorted(other for other in self._by_tick if first < other <= tick):
            self._items.update(dict.fromkeys(self._by_tick[other]))
        self._tick = tick
        return list(self._items)


@dataclass(frozen=True)
class Measure:
    """What options are measured by at a tick."""

    cuts: Cuts
    population: Float[np.ndarray, "N"]
    """Felt returns of the distinct options of all questions until then; empty where nothing is compared with them."""


@dataclass(frozen=True)
class InFrontOf:
    """A `Respondent`: a simulated person in front of one question."""

    items: tuple[str, ...]
    felt: Float[np.ndarray, "C"]
    """Felt returns of the options."""
    person: SimulatedPerson
    measure: Measure
    shown_order: tuple[int, ...]
    chance: Callable[..., Float[np.ndarray, "1 2"]]
    """What decides by chance: of the question, or with a place of one of its options."""

    @property
    def returns(self) -> list[float]:
        """The felt returns as plain numbers."""
        return self.felt.tolist()

    def compare(self) -> Answer:
        """By Bradley-Terry."""
        shown = 1.0 if self.shown_order[0] == 0 else -1.0
        sides = self.felt[:1], self.felt[1:]
        return judge(sides, self.person, self.measure.cuts, self.chance(), shown)[0]

    def rank(self) -> Order | None:
        """By Plackett-Luce."""
        luck = np.array([self.chance(place)[0, 0] for place in range(len(self.felt))])
        return rank(self.felt, self.person, self.measure.cuts, self.chance(), luck)

    def rate(self, low: float, high: float) -> float | None:
        """Among all that was asked about."""
        values, m = scale_values(low, high), self.measure
        return rate(self.felt, self.person, m.cuts, m.population, values, self.chance())[0]

    def approve(self) -> bool | None:
        """Above the middle of all that was asked about."""
        m = self.measure
        return approve(self.felt, self.person, m.cuts, m.population, self.chance())[0]


class SimulatedAnnotator:
    """One simulated person at one store; keeps nothing that the store and the seed do not give again."""

    def __init__(self, name: str, person: SimulatedPerson, seed: int):
        self.name, self.person, self.seed = name, person, seed
        self._felt: dict[str, float] = {}
        self._true: dict[str, float] = {}
        self._population = Population()
        self._counted = 0
        self._seqs: list[int] = []
        """Of the own answers that were counted; for each, the counts of the lifetime until then:"""
        self._counts: list[Counts] = []

    def work(self, log: AnswerLog, rewards_of: RewardsOf, besides: Iterable[int] = ()) -> Counts:
        """Answer questions in the store of this log until none is left; the counts of a lifetime.

        Questions with ids in `besides` are left alone. Quantiles are over the distinct options of all questions up to
        the tick of the question, so an answer depends on what was asked until then, not on when it is given. The cost
        is that of what is new to the log, which people at one store share.
        """
        log.read()
        left = sorted(besides)
        known: dict[tuple[int, bool], Measure] = {}
        while (query := log.store.claim(self.name, LEASE_SECONDS, besides=left)) is not None:
            if query.id not in log.queries:  # somebody goes on asking meanwhile
                log.read()
                known = {}
            place = query.tick, len(query.items) == 1
            if place not in known:
                known[place] = self._measure(log, query, rewards_of)
            log.store.submit(self._answer(query, known[place], rewards_of))
        return self.counts(log, rewards_of)

    def counts(self, log: AnswerLog, rewards_of: RewardsOf, upto: int = LARGEST) -> Counts:
        """What became of the questions this person has answered, by what the store holds up to answer `upto`."""
        log.read()
        if upto > self._counted:
            new = [response for response in log.after(self._counted) if response.seq <= upto]
            self._count_lifetime([one for one in new if one.annotator == self.name], log, rewards_of)
            self._counted = new[-1].seq if new else self._counted
        answered = bisect_right(self._seqs, upto)
        return self._counts[answered - 1] if answered else Counts()

    def _count_lifetime(self, mine: Sequence[Response], log: AnswerLog, rewards_of: RewardsOf) -> None:
        """Go on counting with these own answers."""
        total = self._counts[-1] if self._counts else Counts()
        flips = mistaken(self.person, self._chance([log.queries[one.query_id].key for one in mine]))
        totals: list[Counts] = []
        for response, flipped in zip(mine, flips, strict=True):
            total += self._count(response.feedback, bool(flipped), rewards_of)
            totals.append(total)
        self._seqs += [response.seq for response in mine]
        self._counts += totals

    def _answer(self, query: Query, measure: Measure, rewards_of: RewardsOf) -> NewResponse:
        self._learn_returns(query.items, rewards_of)
        decision = json.dumps([self.seed, query.key, self.name])
        return NewResponse(
            client_uuid=str(uuid5(NAMESPACE, decision)),
            query_id=query.id,
            annotator=self.name,
            feedback=self._feedback(query, measure),
            shown_order=query.shown_order,
        )

    def _feedback(self, query: Query, measure: Measure) -> Feedback:
        """What this person says of options whose returns are known."""
        front = InFrontOf(
            query.items,
            np.array([self._felt[item] for item in query.items]),
            self.person,
            measure,
            query.shown_order,
            lambda *place: self._chance([json.dumps([query.key, *place]) if place else query.key]),
        )
        try:
            return KINDS[query.kind].simulated(front, query.payload)
        except PlauditError as error:
            raise PlauditError(f"query {query.key}: {error}") from None

    def _chance(self, keys: Sequence[str]) -> Float[np.ndarray, "P 2"]:
        """Two people with one seed still err independently."""
        return draws(self.seed, [json.dumps([self.name, key]) for key in keys])

    def _measure(self, log: AnswerLog, query: Query, rewards_of: RewardsOf) -> Measure:
        """What this question is answered by; it reads no population where nothing depends on it."""
        single, person = len(query.items) == 1, self.person
        if single:
            person = replace(person, equal=0.0)  # there is nothing that it could equal
        elif person.skip == person.equal == 0:
            return Measure(Cuts(), np.zeros(0))  # loading every segment takes time
        items = self._population.upto(log, query.tick)
        self._learn_returns(items, rewards_of)
        population = np.array([self._felt[item] for item in items])
        return Measure(cuts(person, population), population)

    def _learn_returns(self, items: Sequence[str], rewards_of: RewardsOf) -> None:
        for item in items:
            if item not in self._felt:
                rewards = np.asarray(rewards_of(item), dtype=np.float64)
                if rewards.ndim != 1:
                    raise PlauditError(
                        f"rewards of {item}: an array [L] is wanted, not one of shape {rewards.shape}; "
                        "mend rewards_of"
                    )
                self._felt[item] = float(felt_returns(rewards[None], self.person.myopia)[0])
                self._true[item] = float(felt_returns(rewards[None], 1.0)[0])

    def _count(self, said: Feedback, flipped: bool, rewards_of: RewardsOf) -> Counts:
        options = options_of(said)
        self._learn_returns(options if len(options) > 1 else (), rewards_of)
        asked = list(combinations(options, 2))
        tied = sum(self._true[one] == self._true[two] for one, two in asked)
        asked_about = Counts(answers=1, pairs=len(asked), tied=tied)
        if said.said is None:
            return replace(asked_about, skip=1)
        if len(options) > 1 and not said.pairs:
            equal = not any(len(one.options) == 1 for one in said.statements())  # both bad is not equal
            return replace(asked_about, equal=int(equal))
        gains = [self._true[better] - self._true[worse] for better, worse in said.pairs]
        return replace(
            asked_about,
            decided=1,
            mistakes=int(flipped),
            ordered=sum(gain != 0 for gain in gains),
            agree=sum(gain > 0 for gain in gains),
        )


def take_turns(
    people: Sequence[SimulatedAnnotator], log: AnswerLog, rewards_of: RewardsOf
) -> dict[str, Counts]:
    """Let people share the open questions evenly; the counts of each one's lifetime by name.

    Who answers follows from the question's id alone (as many people in a row as answers are wanted), and each
    works through their own, so a killed run that resumes has the same people say the same in the same order.
    """
    log.read()
    pending = log.open_queries
    lives = {}
    for place, person in enumerate(people):
        others = [query.id for query in pending if (place - query.id) % len(people) >= query.wanted]
        lives[person.name] = person.work(log, rewards_of, others)
    return lives
