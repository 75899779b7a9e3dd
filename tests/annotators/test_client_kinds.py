"""Simulated people at the memory store, asked for rankings, ratings and thumbs as well as comparisons."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from plaudit.annotators.client import Counts, SimulatedAnnotator, take_turns
from plaudit.annotators.simulated import (
    SimulatedPerson,
    approve,
    cuts,
    draws,
    felt_returns,
    judge,
    rank,
    rate,
)
from plaudit.errors import PlauditError
from plaudit.feedback import Binary, Comparison, Feedback, Ranking, Rating
from plaudit.rewards.learned.terms import Judgement, informative, of_responses
from plaudit.storage.answer_log import AnswerLog
from plaudit.storage.memory import MemoryStore
from plaudit.storage.store import NewQuery
from tests.annotators.gold_reward import GoldReward, Interrupted

SCALE = {"criterion": "overall", "low": 1, "high": 5}
MIXED = SimulatedPerson(beta=0.8, mistake=0.2, equal=0.15, skip=0.3, myopia=0.9, side_bias=0.7, leniency=0.5)


def mixed(ticks: int, each: int) -> list[NewQuery]:
    """Questions of all kinds in turn, each about segments of its own."""
    kinds = {"comparison": 2, "ranking": 4, "rating": 1, "binary": 1}
    queries, used = [], 0
    for i in range(ticks * each):
        kind, size = list(kinds.items())[i % 4]
        items = tuple(f"segment-{used + j}" for j in range(size))
        payload = {"scale": SCALE} if kind == "rating" else {}
        queries.append(NewQuery(f"query-{i}", kind, items, i // each, payload))
        used += size
    return queries


def feedback_of(store: MemoryStore) -> dict[str, Feedback]:
    """Answers by the question's key."""
    keys = {query.id: query.key for query in store.queries()}
    return {keys[response.query_id]: response.feedback for response in store.answers()}


def test_every_kind_is_answered_by_what_was_asked_until_then() -> None:
    store, hidden, queries = MemoryStore(), GoldReward(240), mixed(3, 40)
    store.enqueue(queries)
    SimulatedAnnotator("ann", MIXED, 5).work(AnswerLog(store), hidden)
    assert store.pending() == 0
    shown = {response.query_id: response.shown_order for response in store.answers()}
    ids = {query.key: query.id for query in store.queries()}
    found = feedback_of(store)
    for query in queries:
        asked = {item for other in queries if other.tick <= query.tick for item in other.items}
        rewards = np.stack([hidden.rewards[item] for item in sorted(asked)]).astype(np.float64)
        population = felt_returns(rewards, 0.9)
        returns = felt_returns(np.stack([hidden.rewards[i] for i in query.items]).astype(np.float64), 0.9)
        chance, limits = draws(5, [json.dumps(["ann", query.key])]), cuts(MIXED, population)
        expected: Feedback
        if query.kind == "comparison":
            side = 1.0 if shown[ids[query.key]] == (0, 1) else -1.0
            first, second = query.items
            answer = judge((returns[:1], returns[1:]), MIXED, limits, chance, side)[0]
            expected = Comparison((first, second), answer)
        elif query.kind == "ranking":
            names = [json.dumps(["ann", json.dumps([query.key, place])]) for place in range(4)]
            luck = draws(5, names)[:, 0]
            expected = Ranking(query.items, rank(returns, MIXED, limits, chance, luck))
        elif query.kind == "rating":
            values = np.arange(1.0, 6.0)
            value = rate(returns, MIXED, limits, population, values, chance)[0]
            expected = Rating(query.items[0], "overall", value, 1, 5)
        else:
            expected = Binary(query.items[0], approve(returns, MIXED, limits, population, chance)[0])
        assert found[query.key] == expected


def test_order_and_restarts_change_nothing_about_any_kind() -> None:
    hidden, queries = GoldReward(240), mixed(3, 40)
    person = replace(
        MIXED, side_bias=0.0
    )  # which side a question is shown on depends on what was shown before
    straight, broken = MemoryStore(), MemoryStore()
    straight.enqueue(queries)
    whole = SimulatedAnnotator("ann", person, 5).work(AnswerLog(straight), hidden)
    for tick in range(3):
        broken.enqueue([query for query in reversed(queries) if query.tick == tick])
        with pytest.raises(KeyboardInterrupt):
            SimulatedAnnotator("ann", person, 5).work(AnswerLog(broken), Interrupted(hidden, 70 * (tick + 1)))
        again = SimulatedAnnotator("ann", person, 5).work(AnswerLog(broken), hidden)
    assert broken.pending() == 0 and again == whole
    assert feedback_of(broken) == feedback_of(straight)
    uuids = [{response.client_uuid for response in store.answers()} for store in (straight, broken)]
    assert uuids[0] == uuids[1] and len(uuids[0]) == 120


def test_a_biased_person_says_the_same_after_a_kill() -> None:
    """The store keeps on which side each option was shown, and shows a held question again as it was."""
    hidden, queries = GoldReward(240), mixed(3, 40)
    straight, broken = MemoryStore(), MemoryStore()
    for store in (straight, broken):
        store.enqueue(queries)
    SimulatedAnnotator("ann", MIXED, 5).work(AnswerLog(straight), hidden)
    with pytest.raises(KeyboardInterrupt):
        SimulatedAnnotator("ann", MIXED, 5).work(AnswerLog(broken), Interrupted(hidden, 90))
    SimulatedAnnotator("ann", MIXED, 5).work(AnswerLog(broken), hidden)
    assert [(r.query_id, r.feedback, r.shown_order) for r in broken.answers()] == [
        (r.query_id, r.feedback, r.shown_order) for r in straight.answers()
    ]


def test_counts_of_all_kinds() -> None:
    store, hidden, queries = MemoryStore(), GoldReward(480), mixed(3, 80)
    store.enqueue(queries)
    counts = SimulatedAnnotator("ann", MIXED, 1).work(AnswerLog(store), hidden)
    expected = dict.fromkeys(asdict(Counts()), 0)
    for key, said in feedback_of(store).items():
        expected["answers"] += 1
        flat = {
            name: value for name, value in vars(said).items() if name in ("answer", "order", "value", "good")
        }
        (answer,) = flat.values()
        if answer is None or answer == "skip":
            expected["skip"] += 1
        elif answer == "equal" or (isinstance(said, Ranking) and len(answer) == 1):
            expected["equal"] += 1
        else:
            expected["decided"] += 1
            expected["mistakes"] += draws(1, [json.dumps(["ann", key])])[0, 1] < MIXED.mistake
        if isinstance(said, Comparison | Ranking):
            sums = [hidden.rewards[item].astype(float).sum() for item in said.options]
            both = [(sums[i], sums[j]) for i in range(len(sums)) for j in range(i)]
            expected["pairs"] += len(both)
            expected["tied"] += sum(a == b for a, b in both)
        if isinstance(said, Comparison) and answer in ("first", "second"):
            one, two = (hidden.rewards[item].astype(float).sum() for item in said.options)
            expected["ordered"] += 1
            expected["agree"] += answer == ("first" if one > two else "second")
        if isinstance(said, Ranking) and said.ranks is not None:
            for i in range(4):
                for j in range(4):
                    if said.ranks[i] < said.ranks[j]:
                        one, two = (hidden.rewards[said.options[k]].astype(float).sum() for k in (i, j))
                        expected["ordered"] += 1
                        expected["agree"] += one > two
    assert asdict(counts) == expected
    assert SimulatedAnnotator("ann", MIXED, 1).counts(AnswerLog(store), hidden) == counts
    assert SimulatedAnnotator("human", MIXED, 1).counts(AnswerLog(store), hidden) == Counts()


def test_agreement_over_the_pairs_of_rankings_by_hand() -> None:
    # 3 > 2 > 1 > 0: all six pairs; those who lie have none of them right
    worth = {"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0}
    for mistake, right in ((0.0, 6), (1.0, 0)):
        store = MemoryStore()
        store.enqueue([NewQuery("1", "ranking", tuple(worth), 0, {})])
        person = SimulatedPerson(mistake=mistake)
        counts = SimulatedAnnotator("ann", person, 0).work(
            AnswerLog(store), lambda item: np.array([worth[item]])
        )
        assert counts == Counts(answers=1, decided=1, mistakes=int(mistake), ordered=6, agree=right, pairs=6)


def test_one_option_can_be_equal_to_none() -> None:
    """The cut of those who call pairs equal needs two options; a first question about one has none."""
    store = MemoryStore()
    store.enqueue([NewQuery("1", "binary", ("segment-0",), 0, {})])
    person = SimulatedPerson(equal=0.3)
    assert SimulatedAnnotator("ann", person, 0).work(AnswerLog(store), GoldReward(1)).decided == 1


def test_a_rating_without_a_scale_is_refused() -> None:
    store = MemoryStore()
    store.enqueue([NewQuery("1", "rating", ("segment-0",), 0, {})])
    with pytest.raises(
        PlauditError, match=r"query 1: payload.scale is None; give .* its criterion, low and high"
    ):
        SimulatedAnnotator("ann", SimulatedPerson(), 0).work(AnswerLog(store), GoldReward(1))


def test_a_loop_of_mixed_kinds_teaches_the_order() -> None:
    """As the feedback loop does: ask, let people take turns, read up to a cursor; what is read is the same in a row."""
    hidden, queries = GoldReward(240), mixed(3, 40)

    def people() -> list[SimulatedAnnotator]:
        staff = {"ann": SimulatedPerson(), "bob": MIXED, "cy": SimulatedPerson(mistake=1.0)}
        return [SimulatedAnnotator(name, person, 3) for name, person in staff.items()]

    stores = MemoryStore(), MemoryStore()
    read: list[list[Judgement]] = [[], []]
    for number, store in enumerate(stores):
        panel, log, reader = people(), AnswerLog(store), AnswerLog(store)
        for tick in range(3):
            store.enqueue([query for query in queries if query.tick == tick])
            if number:  # another process each time
                panel, log = people(), AnswerLog(store)
            lives = take_turns(panel, log, hidden)
            read[number] += of_responses(reader.read(store.pin_cursor("trainer", tick)))
        assert store.pending() == 0 and [one.answers for one in lives.values()] == [40, 40, 40]
        assert lives["ann"].rates()["agreement"] == 1 and lives["cy"].rates()["agreement"] == 0
    assert read[0] == read[1]
    kinds = {one.kind for one in read[0]}
    assert kinds == {"comparison", "ranking", "rating"} and informative(read[0])
    worth = {item: row.astype(float).sum() for item, row in hidden.rewards.items()}
    for name, sign in (("ann", 1), ("cy", -1)):
        mine = [one for one in read[0] if one.person == name and one.kind == "rating"]
        assert len(mine) == 20
        ratings, truth = np.array([one.said[0] for one in mine]), [worth[one.options[0]] for one in mine]
        assert sign * np.corrcoef(ratings, truth)[0, 1] > 0.7
