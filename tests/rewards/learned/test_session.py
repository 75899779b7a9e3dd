"""The session between a loop and people: what may be learned from, and what simulated people achieved until when."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.annotators.simulated import SimulatedPerson
from plaudit.rewards.learned.loop import FeedbackSession, simulated_people
from plaudit.storage import Artifacts
from plaudit.storage.memory import MemoryStore
from plaudit.storage.store import Commands, NewQuery

WORTH = {"a": 0.0, "b": 1.0, "c": 2.0}


def session(tmp_path: Path, *persons: SimulatedPerson) -> FeedbackSession:
    store = MemoryStore()
    worth: Any = lambda item: np.array([WORTH[item]])  # noqa: E731
    return FeedbackSession(
        store, Artifacts(tmp_path / "artifacts"), Commands(store), worth, simulated_people(persons, 0)
    )


def query(key: str, *items: str) -> NewQuery:
    return NewQuery(key, "comparison", items, 0, {})


def test_held_out_answers_are_not_learned_from(tmp_path: Path) -> None:
    one = session(tmp_path, SimulatedPerson())
    one.store.enqueue(
        [
            query("0/0/1", "a", "b"),
            replace(query("held-out/2/1", "b", "c"), purpose="held_out"),
            query("0/0/2", "c", "a"),
        ]
    )
    one.simulate()
    assert one.store.pending() == 0 and len(one.store.view(9)) == 3
    keys = {q.id: q.key for q in one.store.queries()}
    assert len(one.read(1)) == 1
    assert [keys[response.query_id] for response in one.standing()] == ["0/0/1"]
    assert len(one.read(9)) == 2
    assert [keys[response.query_id] for response in one.standing()] == ["0/0/1", "0/0/2"]
    assert [response.feedback.answer for response in one.standing()] == ["second", "first"]
    assert [keys[response.query_id] for response in one.standing("held_out")] == ["held-out/2/1"]


def test_rates_are_those_up_to_the_cursor(tmp_path: Path) -> None:
    one = session(tmp_path, SimulatedPerson(mistake=1.0))  # always wrong
    one.store.enqueue([query(str(i), "a", "c") for i in range(6)])
    one.simulate()
    assert one.rates(6) == {
        "people/equal": 0.0, "people/skip": 0.0, "people/mistakes": 1.0, "people/agreement": 0.0,
        "people/tied": 0.0,
    }  # fmt: skip
    assert one.rates(0) == dict.fromkeys(one.rates(6), 0.0)


def test_nobody_is_simulated(tmp_path: Path) -> None:
    one = session(tmp_path)
    one.store.enqueue([query("1", "a", "b")])
    one.simulate()
    assert one.store.pending() == 1 and one.rates(1) == {} and one.read(1) == [] == one.standing()


def test_persons_have_their_own_seeds() -> None:
    one, other = simulated_people([SimulatedPerson(), SimulatedPerson()], 0)
    assert (one.name, other.name) == ("simulated-0", "simulated-1") and one.seed != other.seed
    assert simulated_people([SimulatedPerson()], 1)[0].seed != one.seed
    assert simulated_people([], 0) == []
