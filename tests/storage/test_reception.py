"""What one person at the pages gets and gives, on every make of database."""

import pytest

from plaudit.errors import PlauditError
from plaudit.feedback import Comparison, Ranking, Rating
from plaudit.storage import Conflict, NewQuery, NewResponse, Query
from plaudit.storage.office import Office
from plaudit.storage.reception import Reception
from plaudit.storage.store import NotYours, Unknown
from tests.storage.asking import ask


def answer(query: Query, who: str, uuid: str, said: str = "first") -> NewResponse:
    """As a page sends it: options in the order shown, `first` being the first of these."""
    first, second = (query.items[place] for place in query.shown_order)
    return NewResponse(uuid, query.id, who, Comparison((first, second), said), query.shown_order, 900)


def test_three_at_once_are_three_questions_and_nobody_elses(office: Office) -> None:
    ask(office.store, *"abcde")
    mine = office.reception.claim("ann", 3, 60)
    assert [query.key for query in mine] == ["a", "b", "c"]
    assert [query.key for query in office.reception.claim("bob", 3, 60)] == ["d", "e"]
    assert office.reception.claim("ann", 3, 60) == mine  # after a reload
    assert office.reception.claim("ann", 3, 60, [query.id for query in mine]) == []


def test_first_means_the_first_shown_and_is_stored_by_the_order_of_the_question(office: Office) -> None:
    ask(office.store, *map(str, range(8)))
    flipped = 0
    for number in range(8):
        (query,) = office.reception.claim("ann", 1, 60)
        office.reception.submit(answer(query, "ann", f"u{number}"))
        stored = office.store.history()[-1]
        said = stored.feedback
        assert isinstance(said, Comparison) and said.options == query.items
        assert said.answer == ("first" if query.shown_order == (0, 1) else "second")
        flipped += query.shown_order == (1, 0)
        ((latest, shown),) = office.reception.latest("ann", 1)
        assert latest.feedback == answer(query, "ann", "x").feedback and shown == query
    assert flipped == 4


def test_rankings_keep_their_meaning(office: Office) -> None:
    office.store.enqueue([NewQuery("r", "ranking", ("a", "b", "c", "d"), 0, {})])
    (query,) = office.reception.claim("ann", 1, 60)
    shown = tuple(query.items[place] for place in query.shown_order)
    best = [shown.index("c")], [shown.index("a"), shown.index("d")], [shown.index("b")]
    said = Ranking(shown, tuple(map(tuple, best)))
    office.reception.submit(NewResponse("u", query.id, "ann", said, query.shown_order))
    stored = office.store.history()[0].feedback
    assert isinstance(stored, Ranking) and stored.options == ("a", "b", "c", "d")
    assert stored.ranks == (2, 3, 1, 2)
    assert office.reception.latest("ann", 1)[0][0].feedback == said


def test_only_what_was_asked_can_be_answered(office: Office) -> None:
    ask(office.store, "a", "b")
    (query,) = office.reception.claim("ann", 1, 60)
    with pytest.raises(NotYours, match="never given to you"):
        office.reception.submit(answer(query, "bob", "u"))
    with pytest.raises(Unknown, match="does not exist"):
        office.reception.submit(NewResponse("u", 99, "ann", Comparison(("x", "y"), "first"), (0, 1)))
    swapped = NewResponse("u", query.id, "ann", answer(query, "ann", "u").feedback, query.shown_order[::-1])
    with pytest.raises(PlauditError, match="order"):
        office.reception.submit(swapped)
    foreign = NewResponse("u", query.id, "ann", Comparison(("x", "y"), "first"), query.shown_order)
    with pytest.raises(PlauditError, match="options"):
        office.reception.submit(foreign)
    assert office.store.history() == []


def test_a_rating_must_be_on_the_scale_that_was_asked_for(office: Office) -> None:
    scale = {"criterion": "overall", "low": 1, "high": 5}
    office.store.enqueue([NewQuery("r", "rating", ("a",), 0, {"scale": scale})])
    (query,) = office.reception.claim("ann", 1, 60)
    for wrong in (Rating("a", "overall", 7, 1, 10), Rating("a", "tone", 3, 1, 5)):
        with pytest.raises(PlauditError, match="asks for 'overall' from 1 to 5"):
            office.reception.submit(NewResponse("u", query.id, "ann", wrong, (0,)))
    office.reception.submit(NewResponse("u", query.id, "ann", Rating("a", "overall", 3, 1, 5), (0,)))


def test_a_lost_lease_is_a_conflict(office: Office) -> None:
    ask(office.store, "a")
    clock = iter([0.0, 100.0, 101.0, 102.0])
    reception = Reception(office.session, lambda: next(clock))
    (late,) = reception.claim("ann", 1, 60)
    (taken,) = reception.claim("bob", 1, 60)
    with pytest.raises(Conflict, match="other people"):
        reception.submit(answer(late, "ann", "u1"))
    reception.submit(answer(taken, "bob", "u2"))


def test_a_clock_that_is_set_back_loses_and_doubles_nothing(office: Office) -> None:
    """Answers keep the order in which they came; who holds a question keeps it; a lease ends no later than it would."""
    ask(office.store, "a", "b")
    clock = iter([1000.0, 1010.0, 10.0, 20.0, 1061.0])
    reception = Reception(office.session, lambda: next(clock))
    (held,) = reception.claim("ann", 1, 60)
    (other,) = reception.claim("bob", 1, 60)
    assert reception.claim("eve", 1, 60) == []  # at 10 s by a clock that said 1000: both leases still count
    reception.submit(answer(other, "bob", "u1"))
    assert [query.id for query in reception.claim("eve", 1, 60)] == [held.id]
    assert [(one.seq, one.client_uuid) for one in office.store.history()] == [(1, "u1")]


def test_a_question_at_hand_keeps_its_lease(office: Office) -> None:
    ask(office.store, "a", "b")
    clock = iter([0.0, 50.0, 100.0])
    reception = Reception(office.session, lambda: next(clock))
    (first,) = reception.claim("ann", 1, 60)
    assert [query.key for query in reception.claim("ann", 1, 60, [first.id])] == ["b"]
    assert reception.claim("bob", 1, 60) == []


def test_giving_back(office: Office) -> None:
    ask(office.store, "a", "b")
    (query,) = office.reception.claim("ann", 1, 60)
    office.reception.release("bob", query.id)  # not bob's: nothing happens
    assert [found.key for found in office.reception.claim("bob", 1, 60)] == ["b"]
    office.reception.release("ann", query.id)
    office.reception.release("ann", query.id)
    assert [found.key for found in office.reception.claim("bob", 3, 60, [query.id + 1])] == ["a"]


def test_corrections_name_answers_by_uuid_and_the_old_row_stays(office: Office) -> None:
    ask(office.store, "a", "b")
    one, two = office.reception.claim("ann", 2, 60)
    office.reception.submit(answer(one, "ann", "u1"))
    office.reception.submit(answer(two, "ann", "u2"))
    receipt = office.reception.submit(answer(one, "ann", "u3", "equal"), "u1")
    assert office.reception.submit(answer(one, "ann", "u3", "equal"), "u1") == receipt
    assert [said.client_uuid for said, _ in office.reception.latest("ann", 10)] == ["u3", "u2"]
    assert [r.supersedes for r in office.store.history()] == [None, None, 1]
    with pytest.raises(Conflict, match="superseded already"):
        office.reception.submit(answer(one, "ann", "u4"), "u1")
    with pytest.raises(Unknown, match="not an answer of yours"):
        office.reception.submit(answer(one, "ann", "u5"), "u9")
    assert office.reception.latest("bob", 10) == []
    assert office.reception.answered() == {"ann": 2}


def test_artifacts_belong_to_questions_held_or_answered(office: Office) -> None:
    a, b, sheet = "a" * 64, "b" * 64, "c" * 64
    payload = {"clips": [{"sheets": [{"sha256": sheet}]}, None]}
    office.store.enqueue([NewQuery("q", "comparison", (a, b), 0, payload)])
    reception = office.reception
    assert not reception.may_see("ann", a) and reception.may_see(None, a)
    (query,) = reception.claim("ann", 1, 60)
    assert all(reception.may_see("ann", one) for one in (a, b, sheet))
    assert not reception.may_see("bob", a) and not reception.may_see("ann", "d" * 64)
    reception.release("ann", query.id)
    assert not reception.may_see("ann", a)
    (query,) = reception.claim("ann", 1, 60)
    reception.submit(answer(query, "ann", "u"))
    assert reception.may_see("ann", sheet)


def test_one_in_twenty_is_asked_again_the_other_way_round_and_of_the_same_person(office: Office) -> None:
    ask(office.store, *map(str, range(100)))
    shown: dict[int, tuple[int, ...]] = {}
    repeated = []
    for number in range(105):
        found = office.reception.claim("ann", 1, 60)
        if not found:
            break
        (query,) = found
        if query.id in office.reception.repeats():
            repeated.append((number, query.id))
            assert query.key.startswith("repeat/ann/")
            assert not any(f.id == query.id for f in office.reception.claim("bob", 3, 0.001))
            assert query.shown_order == shown[office.reception.repeats()[query.id]][::-1]
        shown[query.id] = query.shown_order
        office.reception.submit(answer(query, "ann", f"u{number}"))
    assert number == 105 - 1 and len(repeated) == 5
    assert [place // 20 for place, _ in repeated] == [0, 1, 2, 3, 4]
    originals = office.reception.repeats()
    order = {id: place for place, id in enumerate(shown)}
    assert all(order[id] - order[originals[id]] > 5 for _, id in repeated)
    assert office.store.pending() == 0


def test_a_repeat_is_never_anybody_elses_even_when_its_lease_is_over(office: Office) -> None:
    ask(office.store, *map(str, range(25)))
    now = [0.0]
    reception = Reception(office.session, lambda: now[0])
    number = 0
    while not reception.repeats():
        (query,) = reception.claim("ann", 1, 60)
        if not reception.repeats():
            reception.submit(answer(query, "ann", f"u{number}"))
            number += 1
    (copy,) = reception.repeats()
    reception.release("ann", copy)
    now[0] = 1000.0
    office.store.claim("sim", 60, now=1000.0)
    held = [query.id for _ in range(40) for query in reception.claim("bob", 3, 60, range(1, 20))]
    assert copy not in held
    assert copy in [query.id for query in reception.claim("ann", 3, 60)]


def test_reading_on_from_a_number(office: Office) -> None:
    ask(office.store, *"abc")
    receipts = [
        office.reception.submit(answer(query, "ann", query.key))
        for query in office.reception.claim("ann", 3, 60)
    ]
    found = office.reception.after(1)
    assert [(r.seq, digest) for r, digest in found] == [(r.seq, r.sha256) for r in receipts[1:]]
    assert [r.seq for r, _ in office.reception.after(0, 2)] == [1, 2]
    assert office.reception.waiting() == (0, 0)
    ask(office.store, "d", "e")
    office.reception.claim("ann", 1, 60)
    assert office.reception.waiting() == (2, 1)
    assert [query.key for query, repeat in office.reception.questions(3) if repeat is None] == ["d", "e"]


def test_who_leaves_with_a_repeat_leaves_nothing_that_waits(office: Office) -> None:
    """Nobody else may ever answer it: a loop that waits for its questions would wait for ever."""
    ask(office.store, *map(str, range(30)))
    (query,) = office.reception.claim("ann", 1, 60)
    answered = 0
    while not office.reception.repeats():
        office.reception.submit(answer(query, "ann", f"u{answered}"))
        answered += 1
        (query,) = office.reception.claim("ann", 1, 60)
    assert query.id in office.reception.repeats()
    assert office.store.pending() == 30 - answered
    assert office.reception.waiting() == (30 - answered, 0)
