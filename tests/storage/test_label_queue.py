"""What one person at the pages gets and gives, on every make of database."""

import pytest

from plaudit.errors import PlauditError
from plaudit.feedback import Comparison, Ranking, Rating
from plaudit.storage import Conflict, NewQuery, NewResponse, Query
from plaudit.storage.database import Database
from plaudit.storage.label_queue import LabelQueue
from plaudit.storage.store import NotYours, Unknown
from tests.storage.asking import ask


def answer(query: Query, who: str, uuid: str, said: str = "first") -> NewResponse:
    """As a page sends it: options in the order shown, `first` being the first of these."""
    first, second = (query.items[place] for place in query.shown_order)
    return NewResponse(uuid, query.id, who, Comparison((first, second), said), query.shown_order, 900)


def test_three_at_once_are_three_questions_and_nobody_elses(database: Database) -> None:
    ask(database.store, *"abcde")
    mine = database.queue.claim("ann", 3, 60)
    assert [query.key for query in mine] == ["a", "b", "c"]
    assert [query.key for query in database.queue.claim("bob", 3, 60)] == ["d", "e"]
    assert database.queue.claim("ann", 3, 60) == mine  # after a reload
    assert database.queue.claim("ann", 3, 60, [query.id for query in mine]) == []


def test_first_means_the_first_shown_and_is_stored_by_the_order_of_the_question(database: Database) -> None:
    ask(database.store, *map(str, range(8)))
    flipped = 0
    for number in range(8):
        (query,) = database.queue.claim("ann", 1, 60)
        database.queue.submit(answer(query, "ann", f"u{number}"))
        stored = database.store.answers()[-1]
        said = stored.feedback
        assert isinstance(said, Comparison) and said.options == query.items
        assert said.answer == ("first" if query.shown_order == (0, 1) else "second")
        flipped += query.shown_order == (1, 0)
        ((latest, shown),) = database.queue.latest("ann", 1)
        assert latest.feedback == answer(query, "ann", "x").feedback and shown == query
    assert flipped == 4


def test_rankings_keep_their_meaning(database: Database) -> None:
    database.store.enqueue([NewQuery("r", "ranking", ("a", "b", "c", "d"), 0, {})])
    (query,) = database.queue.claim("ann", 1, 60)
    shown = tuple(query.items[place] for place in query.shown_order)
    best = [shown.index("c")], [shown.index("a"), shown.index("d")], [shown.index("b")]
    said = Ranking(shown, tuple(map(tuple, best)))
    database.queue.submit(NewResponse("u", query.id, "ann", said, query.shown_order))
    stored = database.store.answers()[0].feedback
    assert isinstance(stored, Ranking) and stored.options == ("a", "b", "c", "d")
    assert stored.ranks == (2, 3, 1, 2)
    assert database.queue.latest("ann", 1)[0][0].feedback == said


def test_only_what_was_asked_can_be_answered(database: Database) -> None:
    ask(database.store, "a", "b")
    (query,) = database.queue.claim("ann", 1, 60)
    with pytest.raises(NotYours, match="never given to you"):
        database.queue.submit(answer(query, "bob", "u"))
    with pytest.raises(Unknown, match="does not exist"):
        database.queue.submit(NewResponse("u", 99, "ann", Comparison(("x", "y"), "first"), (0, 1)))
    swapped = NewResponse("u", query.id, "ann", answer(query, "ann", "u").feedback, query.shown_order[::-1])
    with pytest.raises(PlauditError, match="order"):
        database.queue.submit(swapped)
    foreign = NewResponse("u", query.id, "ann", Comparison(("x", "y"), "first"), query.shown_order)
    with pytest.raises(PlauditError, match="options"):
        database.queue.submit(foreign)
    assert database.store.answers() == []


def test_a_rating_must_be_on_the_scale_that_was_asked_for(database: Database) -> None:
    scale = {"criterion": "overall", "low": 1, "high": 5}
    database.store.enqueue([NewQuery("r", "rating", ("a",), 0, {"scale": scale})])
    (query,) = database.queue.claim("ann", 1, 60)
    for wrong in (Rating("a", "overall", 7, 1, 10), Rating("a", "tone", 3, 1, 5)):
        with pytest.raises(PlauditError, match="asks for 'overall' from 1 to 5"):
            database.queue.submit(NewResponse("u", query.id, "ann", wrong, (0,)))
    database.queue.submit(NewResponse("u", query.id, "ann", Rating("a", "overall", 3, 1, 5), (0,)))


def test_a_lost_lease_is_a_conflict(database: Database) -> None:
    ask(database.store, "a")
    clock = iter([0.0, 100.0, 101.0, 102.0])
    queue = LabelQueue(database.transactions, lambda: next(clock))
    (late,) = queue.claim("ann", 1, 60)
    (taken,) = queue.claim("bob", 1, 60)
    with pytest.raises(Conflict, match="other people"):
        queue.submit(answer(late, "ann", "u1"))
    queue.submit(answer(taken, "bob", "u2"))


def test_a_clock_that_is_set_back_loses_and_doubles_nothing(database: Database) -> None:
    """Answers keep the order in which they came; who holds a question keeps it; a lease ends no later than it would."""
    ask(database.store, "a", "b")
    clock = iter([1000.0, 1010.0, 10.0, 20.0, 1061.0])
    queue = LabelQueue(database.transactions, lambda: next(clock))
    (held,) = queue.claim("ann", 1, 60)
    (other,) = queue.claim("bob", 1, 60)
    assert queue.claim("eve", 1, 60) == []  # at 10 s by a clock that said 1000: both leases still count
    queue.submit(answer(other, "bob", "u1"))
    assert [query.id for query in queue.claim("eve", 1, 60)] == [held.id]
    assert [(one.seq, one.client_uuid) for one in database.store.answers()] == [(1, "u1")]


def test_a_question_at_hand_keeps_its_lease(database: Database) -> None:
    ask(database.store, "a", "b")
    clock = iter([0.0, 50.0, 100.0])
    queue = LabelQueue(database.transactions, lambda: next(clock))
    (first,) = queue.claim("ann", 1, 60)
    assert [query.key for query in queue.claim("ann", 1, 60, [first.id])] == ["b"]
    assert queue.claim("bob", 1, 60) == []


def test_giving_back(database: Database) -> None:
    ask(database.store, "a", "b")
    (query,) = database.queue.claim("ann", 1, 60)
    database.queue.release("bob", query.id)  # not bob's: nothing happens
    assert [found.key for found in database.queue.claim("bob", 1, 60)] == ["b"]
    database.queue.release("ann", query.id)
    database.queue.release("ann", query.id)
    assert [found.key for found in database.queue.claim("bob", 3, 60, [query.id + 1])] == ["a"]


def test_corrections_name_answers_by_uuid_and_the_old_row_stays(database: Database) -> None:
    ask(database.store, "a", "b")
    one, two = database.queue.claim("ann", 2, 60)
    database.queue.submit(answer(one, "ann", "u1"))
    database.queue.submit(answer(two, "ann", "u2"))
    receipt = database.queue.submit(answer(one, "ann", "u3", "equal"), "u1")
    assert database.queue.submit(answer(one, "ann", "u3", "equal"), "u1") == receipt
    assert [said.client_uuid for said, _ in database.queue.latest("ann", 10)] == ["u3", "u2"]
    assert [r.supersedes for r in database.store.answers()] == [None, None, 1]
    with pytest.raises(Conflict, match="superseded already"):
        database.queue.submit(answer(one, "ann", "u4"), "u1")
    with pytest.raises(Unknown, match="not an answer of yours"):
        database.queue.submit(answer(one, "ann", "u5"), "u9")
    assert database.queue.latest("bob", 10) == []
    assert database.queue.answered() == {"ann": 2}


def test_artifacts_belong_to_questions_held_or_answered(database: Database) -> None:
    a, b, sheet = "a" * 64, "b" * 64, "c" * 64
    payload = {"clips": [{"sheets": [{"sha256": sheet}]}, None]}
    database.store.enqueue([NewQuery("q", "comparison", (a, b), 0, payload)])
    queue = database.queue
    assert not queue.may_see("ann", a) and queue.may_see(None, a)
    (query,) = queue.claim("ann", 1, 60)
    assert all(queue.may_see("ann", one) for one in (a, b, sheet))
    assert not queue.may_see("bob", a) and not queue.may_see("ann", "d" * 64)
    queue.release("ann", query.id)
    assert not queue.may_see("ann", a)
    (query,) = queue.claim("ann", 1, 60)
    queue.submit(answer(query, "ann", "u"))
    assert queue.may_see("ann", sheet)


@pytest.mark.slow
def test_one_in_twenty_is_asked_again_the_other_way_round_and_of_the_same_person(database: Database) -> None:
    ask(database.store, *map(str, range(100)))
    shown: dict[int, tuple[int, ...]] = {}
    repeated = []
    for number in range(105):
        found = database.queue.claim("ann", 1, 60)
        if not found:
            break
        (query,) = found
        if query.id in database.queue.repeats():
            repeated.append((number, query.id))
            assert query.key.startswith("repeat/ann/")
            assert not any(f.id == query.id for f in database.queue.claim("bob", 3, 0.001))
            assert query.shown_order == shown[database.queue.repeats()[query.id]][::-1]
        shown[query.id] = query.shown_order
        database.queue.submit(answer(query, "ann", f"u{number}"))
    assert number == 105 - 1 and len(repeated) == 5
    assert [place // 20 for place, _ in repeated] == [0, 1, 2, 3, 4]
    originals = database.queue.repeats()
    order = {id: place for place, id in enumerate(shown)}
    assert all(order[id] - order[originals[id]] > 5 for _, id in repeated)
    assert database.store.pending() == 0


def test_a_repeat_is_never_anybody_elses_even_when_its_lease_is_over(database: Database) -> None:
    ask(database.store, *map(str, range(25)))
    now = [0.0]
    queue = LabelQueue(database.transactions, lambda: now[0])
    number = 0
    while not queue.repeats():
        (query,) = queue.claim("ann", 1, 60)
        if not queue.repeats():
            queue.submit(answer(query, "ann", f"u{number}"))
            number += 1
    (copy,) = queue.repeats()
    queue.release("ann", copy)
    now[0] = 1000.0
    database.store.claim("sim", 60, now=1000.0)
    held = [query.id for _ in range(40) for query in queue.claim("bob", 3, 60, range(1, 20))]
    assert copy not in held
    assert copy in [query.id for query in queue.claim("ann", 3, 60)]


def test_reading_on_from_a_number(database: Database) -> None:
    ask(database.store, *"abc")
    receipts = [
        database.queue.submit(answer(query, "ann", query.key)) for query in database.queue.claim("ann", 3, 60)
    ]
    found = database.queue.after(1)
    assert [(r.seq, digest) for r, digest in found] == [(r.seq, r.sha256) for r in receipts[1:]]
    assert [r.seq for r, _ in database.queue.after(0, 2)] == [1, 2]
    assert database.queue.waiting() == (0, 0)
    ask(database.store, "d", "e")
    database.queue.claim("ann", 1, 60)
    assert database.queue.waiting() == (2, 1)
    assert [query.key for query, repeat in database.queue.questions(3) if repeat is None] == ["d", "e"]


def test_who_leaves_with_a_repeat_leaves_nothing_that_waits(database: Database) -> None:
    """Nobody else may ever answer it: a loop that waits for its questions would wait for ever."""
    ask(database.store, *map(str, range(30)))
    (query,) = database.queue.claim("ann", 1, 60)
    answered = 0
    while not database.queue.repeats():
        database.queue.submit(answer(query, "ann", f"u{answered}"))
        answered += 1
        (query,) = database.queue.claim("ann", 1, 60)
    assert query.id in database.queue.repeats()
    assert database.store.pending() == 30 - answered
    assert database.queue.waiting() == (30 - answered, 0)
