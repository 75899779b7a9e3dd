"""Simulated people at the memory store: what they answer, in any order and however often restarted."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from math import inf

import numpy as np
import pytest

from plaudit.annotators.client import Counts, SimulatedAnnotator, take_turns
from plaudit.annotators.simulated import SimulatedPerson, answers, draws, felt_returns
from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.storage.answer_log import AnswerLog
from plaudit.storage.memory import MemoryStore
from plaudit.storage.store import LARGEST, NewQuery, Query, Response
from tests.annotators.gold_reward import GoldReward, Interrupted

FLAWED = SimulatedPerson(beta=0.8, mistake=0.2, equal=0.15, skip=0.3, myopia=0.9)


def comparisons(ticks: int, each: int, wanted: int = 1) -> list[NewQuery]:
    """Query i compares segments 2i and 2i + 1."""
    queries = []
    for i in range(ticks * each):
        items = (f"segment-{2 * i}", f"segment-{2 * i + 1}")
        queries.append(NewQuery(f"query-{i}", "comparison", items, i // each, {}, wanted))
    return queries


def said(store: MemoryStore, name: str) -> dict[str, str]:
    """Answers of a person by the question's key."""
    found = {}
    for response in store.answers():
        if response.annotator == name and isinstance(response.feedback, Comparison):
            found[store.queries([response.query_id])[0].key] = response.feedback.answer
    return found


def slow_answers(
    queries: list[NewQuery], hidden: GoldReward, person: SimulatedPerson, name: str, seed: int
) -> dict:
    """One question at a time, the population gathered afresh for each."""
    found = {}
    for query in queries:
        population = {item for other in queries if other.tick <= query.tick for item in other.items}
        rewards = np.stack([hidden.rewards[item] for item in sorted(population)]).astype(np.float64)
        first, second = (hidden.rewards[item][None].astype(np.float64) for item in query.items)
        chance = draws(seed, [json.dumps([name, query.key])])
        found[query.key] = answers(first, second, person, felt_returns(rewards, person.myopia), chance)[0]
    return found


def test_answers_all_and_says_what_the_functions_say() -> None:
    store, hidden, queries = MemoryStore(), GoldReward(240), comparisons(3, 40)
    store.enqueue(queries)
    counts = SimulatedAnnotator("ann", FLAWED, 5).work(AnswerLog(store), hidden)
    assert store.pending() == 0
    assert counts.answers == 120
    assert said(store, "ann") == slow_answers(queries, hidden, FLAWED, "ann", 5)
    assert sorted(hidden.loaded) == sorted(hidden.rewards)  # each segment once


def test_the_answer_is_about_items_whatever_the_side() -> None:
    store, hidden, queries = MemoryStore(), GoldReward(200), comparisons(1, 100)
    store.enqueue(queries)
    SimulatedAnnotator("ann", SimulatedPerson(), 0).work(AnswerLog(store), hidden)
    responses = store.answers()
    assert {response.shown_order for response in responses} == {(0, 1), (1, 0)}
    for response in responses:
        assert isinstance(response.feedback, Comparison)
        totals = [hidden.rewards[item].astype(float).sum() for item in response.feedback.options]
        assert response.feedback.answer == ("first" if totals[0] > totals[1] else "second")


def test_order_and_restarts_change_nothing() -> None:
    hidden, queries = GoldReward(240), comparisons(3, 40)
    straight = MemoryStore()
    straight.enqueue(queries)
    whole = SimulatedAnnotator("ann", FLAWED, 5).work(AnswerLog(straight), hidden)

    clock = [0.0]
    broken = MemoryStore(clock=lambda: clock[0])
    for tick in range(3):  # asked tick by tick, in another order, by somebody who forgets and crashes
        broken.enqueue([query for query in reversed(queries) if query.tick == tick])
        with pytest.raises(KeyboardInterrupt):
            SimulatedAnnotator("ann", FLAWED, 5).work(AnswerLog(broken), Interrupted(hidden, 70 * (tick + 1)))
        assert broken.pending() > 0 or tick == 0
        broken.enqueue([query for query in queries if query.tick <= tick])
        again = SimulatedAnnotator("ann", FLAWED, 5).work(AnswerLog(broken), hidden)
        assert broken.pending() == 0

    assert said(broken, "ann") == said(straight, "ann")
    assert again == whole
    uuids = [{response.client_uuid for response in store.answers()} for store in (straight, broken)]
    assert uuids[0] == uuids[1] and len(uuids[0]) == 120


def test_questions_that_come_meanwhile_are_answered_by_what_was_asked_until_then() -> None:
    store, hidden, queries = MemoryStore(), GoldReward(240), comparisons(3, 40)
    store.enqueue([query for query in queries if query.tick == 0])

    def rewards_of(item: str) -> np.ndarray:
        store.enqueue(queries)  # somebody asks the rest as soon as this person begins
        return hidden(item)

    SimulatedAnnotator("ann", FLAWED, 5).work(AnswerLog(store), rewards_of)
    assert said(store, "ann") == slow_answers(queries, hidden, FLAWED, "ann", 5)


@pytest.mark.slow
def test_counts_are_those_of_the_loop_and_come_again_from_the_store() -> None:
    store, hidden, queries = MemoryStore(), GoldReward(800), comparisons(4, 100)
    annotator = SimulatedAnnotator("ann", FLAWED, 1)
    for tick in range(4):
        store.enqueue([query for query in queries if query.tick == tick])
        counts = annotator.work(AnswerLog(store), hidden)
    expected = dict.fromkeys(asdict(Counts()), 0)
    for query in queries:
        answer = said(store, "ann")[query.key]
        expected["answers"] += 1
        one, two = (hidden.rewards[item].astype(float).sum() for item in query.items)
        expected["pairs"] += 1
        expected["tied"] += one == two
        if answer in ("equal", "skip"):
            expected[answer] += 1
            continue
        expected["decided"] += 1
        expected["mistakes"] += draws(1, [json.dumps(["ann", query.key])])[0, 1] < FLAWED.mistake
        expected["ordered"] += one != two
        expected["agree"] += answer == ("first" if one > two else "second")
    assert asdict(counts) == expected
    assert SimulatedAnnotator("ann", FLAWED, 1).counts(AnswerLog(store), hidden) == counts
    assert SimulatedAnnotator("ann", FLAWED, 1).work(AnswerLog(store), hidden) == counts  # nothing left to do


def test_achieved_rates_are_the_asked_ones() -> None:
    # every return is negative, where B-Pref's thresholds would never fire
    store, hidden = MemoryStore(), GoldReward(1000)
    store.enqueue(comparisons(1, 500))
    rates = (
        SimulatedAnnotator("ann", SimulatedPerson(equal=0.2, mistake=0.1), 0)
        .work(AnswerLog(store), hidden)
        .rates()
    )
    assert rates["equal"] == pytest.approx(0.2, abs=5 * math.sqrt(0.2 * 0.8 / 500))
    assert rates["mistakes"] == pytest.approx(0.1, abs=5 * math.sqrt(0.1 * 0.9 / 400))
    assert rates["agreement"] == pytest.approx(1 - rates["mistakes"])
    store.enqueue([NewQuery(f"more-{q.key}", q.kind, q.items, q.tick, {}) for q in comparisons(1, 500)])
    rates = SimulatedAnnotator("bob", SimulatedPerson(skip=0.4), 0).work(AnswerLog(store), hidden).rates()
    assert rates["skip"] == pytest.approx(0.4**2, abs=5 * math.sqrt(0.16 * 0.84 / 500))
    assert rates["agreement"] == 1


def test_two_people_with_one_seed_err_apart() -> None:
    store, hidden = MemoryStore(), GoldReward(400)
    store.enqueue(comparisons(1, 200, wanted=2))
    coin = SimulatedPerson(beta=0.0)
    for name in ("ann", "bob"):
        SimulatedAnnotator(name, coin, 0).work(AnswerLog(store), hidden)
    ann, bob = said(store, "ann"), said(store, "bob")
    alike = sum(ann[key] == bob[key] for key in ann)
    assert len(ann) == len(bob) == 200
    assert abs(alike - 100) < 5 * math.sqrt(50)


def test_turns_are_shared_and_survive_a_restart() -> None:
    hidden, queries = GoldReward(120), comparisons(1, 60)
    staff = [("ann", SimulatedPerson()), ("bob", FLAWED), ("cy", SimulatedPerson(beta=inf, mistake=1.0))]

    def people() -> list[SimulatedAnnotator]:
        return [SimulatedAnnotator(name, person, 3) for name, person in staff]

    straight, broken = MemoryStore(), MemoryStore()
    for store in (straight, broken):
        store.enqueue(queries)
    lives = take_turns(people(), AnswerLog(straight), hidden)
    assert {name: counts.answers for name, counts in lives.items()} == {"ann": 20, "bob": 20, "cy": 20}
    assert lives["ann"].rates()["agreement"] == 1 and lives["cy"].rates()["agreement"] == 0
    with pytest.raises(KeyboardInterrupt):
        take_turns(people(), AnswerLog(broken), Interrupted(hidden, 20))
    assert 0 < len(broken.answers()) < 60
    assert take_turns(people(), AnswerLog(broken), hidden) == lives
    assert [(r.annotator, r.query_id, r.feedback) for r in broken.answers()] == [
        (r.annotator, r.query_id, r.feedback) for r in straight.answers()
    ]


class CountingStore(MemoryStore):
    """Counts the rows that are read from it."""

    read = 0

    def answers(self, after: int = 0, upto: int = LARGEST) -> list[Response]:
        found = super().answers(after, upto)
        self.read += len(found)
        return found

    def queries(self, ids: Sequence[int] | None = None, after: int = 0) -> list[Query]:
        found = super().queries(ids, after)
        self.read += len(found)
        return found


def test_people_who_share_a_log_say_what_they_would_by_the_whole_store_and_read_nothing_twice() -> None:
    """Over many updates; a person who forgets everything after each, as a process that is killed, is the oracle."""
    hidden, queries = GoldReward(240), comparisons(12, 10)
    staff = [("ann", FLAWED), ("bob", SimulatedPerson(equal=0.3, mistake=0.1))]
    shared, forgetful = CountingStore(), MemoryStore()
    log, people = AnswerLog(shared), [SimulatedAnnotator(name, person, 3) for name, person in staff]
    for tick in range(12):
        for store in (shared, forgetful):
            store.enqueue([query for query in queries if query.tick == tick])
        lives = take_turns(people, log, hidden)
        fresh = [SimulatedAnnotator(name, person, 3) for name, person in staff]
        assert take_turns(fresh, AnswerLog(forgetful), hidden) == lives
        assert shared.read == 20 * (tick + 1)  # ten questions and ten answers each time
        for one, other in zip(people, fresh, strict=True):
            for upto in (0, 5 * tick, 10 * tick + 3, 999):
                assert one.counts(log, hidden, upto) == other.counts(AnswerLog(forgetful), hidden, upto)
    assert [(r.annotator, r.query_id, r.feedback) for r in shared.answers()] == [
        (r.annotator, r.query_id, r.feedback) for r in forgetful.answers()
    ]


def test_an_old_question_that_was_given_back_is_answered_as_if_nothing_had_been_asked_since() -> None:
    """Its quantiles are over what was asked until then."""
    store, hidden, queries = MemoryStore(), GoldReward(120), comparisons(3, 20)
    store.enqueue([query for query in queries if query.tick == 0])
    held = store.claim("somebody", 60.0, now=0)
    assert held is not None
    log, ann = AnswerLog(store), SimulatedAnnotator("ann", FLAWED, 5)
    ann.work(log, hidden, besides=[held.id])
    store.enqueue(queries)
    ann.work(log, hidden, besides=[held.id])
    ann.work(log, hidden)  # the lease ran out long ago
    assert said(store, "ann") == slow_answers(queries, hidden, FLAWED, "ann", 5)


def test_turns_with_several_answers_wanted() -> None:
    store, hidden = MemoryStore(), GoldReward(60)
    store.enqueue(comparisons(1, 30, wanted=2))
    lives = take_turns(
        [SimulatedAnnotator(n, SimulatedPerson(), 0) for n in ("ann", "bob", "cy")], AnswerLog(store), hidden
    )
    assert store.pending() == 0
    assert [counts.answers for counts in lives.values()] == [20, 20, 20]


def test_pairs_of_equal_worth_are_told_apart_from_those_with_a_right_answer() -> None:
    # six of seven pairs are worth the same: what is said of them counts for no agreement, be it a coin's or "equal"
    worth = {"a": 1.0, "b": 1.0, "c": 2.0}
    store = MemoryStore()
    asked = [NewQuery(str(i), "comparison", ("a", "b"), 0, {}) for i in range(6)]
    store.enqueue([*asked, NewQuery("6", "comparison", ("a", "c"), 0, {})])
    ann = SimulatedAnnotator("ann", SimulatedPerson(beta=100.0), 0)
    counts = ann.work(AnswerLog(store), lambda item: np.array([worth[item]]))
    assert (counts.decided, counts.ordered, counts.agree, counts.pairs, counts.tied) == (7, 1, 1, 7, 6)
    store = MemoryStore()
    store.enqueue(asked)
    sure = SimulatedAnnotator("bob", SimulatedPerson(), 0).work(
        AnswerLog(store), lambda item: np.array([worth[item]])
    )
    assert (sure.decided, sure.equal, sure.tied) == (0, 6, 6)
    assert counts.rates()["tied"] == 6 / 7 and counts.rates()["agreement"] == 1


def test_counts_add_up() -> None:
    one, two = Counts(4, 2, 1, 1, 1, 2, 1, 4, 1), Counts(10, 8, 1, 1, 0, 8, 8, 12, 3)
    assert one + two == Counts(14, 10, 2, 2, 1, 10, 9, 16, 4)
    assert (one + two).rates() == {
        "equal": 2 / 14, "skip": 2 / 14, "mistakes": 1 / 10, "agreement": 9 / 10, "tied": 4 / 16
    }  # fmt: skip
    assert set(Counts().rates().values()) == {0.0}


def test_rewards_that_are_no_row_are_refused() -> None:
    store = MemoryStore()
    store.enqueue(comparisons(1, 1))
    with pytest.raises(
        PlauditError, match=r"rewards of segment-0: an array \[L\] is wanted, not one of shape \(2, 2\)"
    ):
        SimulatedAnnotator("ann", SimulatedPerson(), 0).work(AnswerLog(store), lambda item: np.zeros((2, 2)))
