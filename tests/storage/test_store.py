"""What every store must do: one suite, run on memory, SQLite and Postgres."""

import threading
from collections import Counter
from dataclasses import replace

import pytest

from plaudit.errors import PlauditError
from plaudit.feedback import Binary, Comparison, Ranking, Rating
from plaudit.feedback.ranking import from_ranks
from plaudit.storage import Conflict, NewQuery, NewResponse, Receipt, Store
from plaudit.storage.store import PURPOSES
from tests.storage.asking import Place, ask, claimed, question, reply


def test_is_a_store(store: Store) -> None:
    assert isinstance(store, Store)


# ---------------------------------------------------------------------------------------------- questions


def test_enqueue_gives_ids_in_order_and_is_idempotent(store: Store) -> None:
    first = ask(store, "a", "b", "c")
    assert first == sorted(first)
    assert ask(store, "c", "a", "d", "d")[:2] == [first[2], first[0]]
    assert [query.key for query in store.queries()] == ["a", "b", "c", "d"]
    assert store.pending() == 4
    assert store.enqueue([]) == []


def test_a_known_key_keeps_what_was_stored_first(store: Store) -> None:
    (id,) = ask(store, "a")
    again = replace(question("a"), items=("other-1", "other-2"), wanted=9)
    assert store.enqueue([again]) == [id]
    assert store.queries([id])[0].items == ("a-a", "a-b")
    assert store.pending() == 1


def test_a_bad_question_stores_none_of_the_batch(store: Store) -> None:
    bad = replace(question("b"), payload={"weight": float("nan")})
    with pytest.raises(PlauditError, match=r"query\.payload"):
        store.enqueue([question("a"), bad])
    assert store.queries() == []


def test_queries_by_id_come_in_the_order_asked(store: Store) -> None:
    a, b, c = ask(store, "a", "b", "c")
    assert [query.key for query in store.queries([c, a, c])] == ["c", "a", "c"]
    assert store.queries([]) == []
    for unknown in (b + 100, 0, -1, 2**80):
        with pytest.raises(PlauditError, match="does not exist"):
            store.queries([a, unknown])


def test_payload_of_any_text_comes_back_and_cannot_be_changed(store: Store) -> None:
    payload = {
        "prompt": "你好 'x\"; DROP TABLE responses;-- \x00 \u2028 🙂",
        "n": [1, 2.5, None, True],
        "z": {"é": {}},
    }
    query = replace(question("ключ"), payload=payload)
    (id,) = store.enqueue([query])
    store.queries([id])[0].payload["n"].append("changed")
    assert store.queries([id])[0].payload == payload
    assert claimed(store, "安娜").payload == payload


# ---------------------------------------------------------------------------------------------- claims


def test_claim_is_oldest_first_and_the_same_again(store: Store) -> None:
    a, b = ask(store, "a", "b")
    mine = claimed(store, "ann", now=0)
    assert mine.id == a
    assert sorted(mine.shown_order) == [0, 1]
    assert claimed(store, "ann", now=1) == mine
    assert claimed(store, "bob", now=1).id == b
    assert store.claim("eve", 60, 1) is None


def test_a_lease_that_ran_out_is_free_again(store: Store) -> None:
    ask(store, "a")
    claimed(store, "ann", now=0, seconds=10)
    assert store.claim("bob", 10, 9.99) is None
    assert claimed(store, "bob", now=10, seconds=10).key == "a"
    assert store.claim("ann", 10, 19.99) is None


def test_claiming_again_renews_the_lease(store: Store) -> None:
    ask(store, "a")
    claimed(store, "ann", now=0, seconds=10)
    claimed(store, "ann", now=9, seconds=10)
    assert store.claim("bob", 10, 18.9) is None
    assert claimed(store, "bob", now=19).key == "a"


def test_an_expired_claim_nobody_took_is_still_the_persons_own(store: Store) -> None:
    ask(store, "a", "b")
    first = claimed(store, "ann", now=0, seconds=10)
    assert claimed(store, "ann", now=1000) == first


def test_never_a_question_the_person_has_answered(store: Store) -> None:
    ask(store, "a", wanted=3)
    query = claimed(store, "ann")
    store.submit(reply(query, "ann", "u1"), now=1)
    assert store.claim("ann", 60, 2) is None
    assert claimed(store, "bob", now=2).id == query.id
    assert claimed(store, "eve", now=2).id == query.id
    assert store.claim("dan", 60, 2) is None
    assert store.pending() == 2


def test_fetching_ahead_gives_other_questions(store: Store) -> None:
    a, b, c = ask(store, "a", "b", "c")
    assert [store.claim("ann", 60, 0, besides).id for besides in ([], [a], [a, b])] == [a, b, c]
    assert store.claim("ann", 60, 0, [a, b, c, 2**80]) is None
    assert claimed(store, "ann", now=1).id == a
    assert store.claim("bob", 60, 1) is None


def test_one_person_never_holds_two_slots_of_a_question(store: Store) -> None:
    ask(store, "a", wanted=2)
    (a,) = {claimed(store, "ann", now=n).id for n in range(3)}
    assert store.claim("ann", 60, 3, [a]) is None
    assert claimed(store, "bob", now=3).id == a
    assert store.claim("eve", 60, 3) is None


def test_sides_are_balanced_in_blocks_of_four_within_each_person(store: Store) -> None:
    ask(store, *map(str, range(24)), wanted=2)
    seen = {}
    for person in ("ann", "bob"):
        orders = []
        for i in range(24):
            query = claimed(store, person)
            orders.append(query.shown_order)
            store.submit(reply(query, person, f"{person}-{i}"), now=0)
        blocks = [Counter(orders[i : i + 4]) for i in range(0, 24, 4)]
        assert blocks == [Counter({(0, 1): 2, (1, 0): 2})] * 6
        seen[person] = orders
    assert seen["ann"] != seen["bob"]
    assert len({tuple(seen["ann"][i : i + 4]) for i in range(0, 24, 4)}) > 1


def test_the_order_shown_outlives_the_lease(store: Store) -> None:
    ask(store, *map(str, range(8)))
    before = {}
    for _ in range(8):
        query = store.claim("ann", 1, 0, list(before))
        before[query.id] = query.shown_order
    assert len(set(before.values())) == 2
    for id, order in before.items():
        others = [other for other in before if other != id]
        store.claim("bob", 1, 100, others)
        assert store.claim("ann", 1, 200, others).shown_order == order


@pytest.mark.parametrize(("annotator", "seconds"), [("", 60), ("ann", 0), ("ann", -1), ("ann", float("inf"))])
def test_a_senseless_claim_is_refused(store: Store, annotator: str, seconds: float) -> None:
    with pytest.raises(PlauditError):
        store.claim(annotator, seconds, 0)


# ---------------------------------------------------------------------------------------------- answers


def test_an_answer_is_stored_as_given(store: Store) -> None:
    ask(store, "a")
    query = claimed(store, "ann")
    receipt = store.submit(reply(query, "ann", "u1", "both_bad"), now=1.25)
    (response,) = store.view(receipt.seq)
    assert (response.id, response.seq) == (receipt.response_id, receipt.seq) and receipt.seq == 1
    assert response.feedback == Comparison(("a-a", "a-b"), "both_bad")
    assert (response.client_uuid, response.query_id, response.annotator) == ("u1", query.id, "ann")
    assert (response.shown_order, response.active_ms) == (query.shown_order, 1200)
    assert (response.supersedes, response.received_at) == (None, 1.25)
    assert store.pending() == 0


def test_every_kind_of_feedback(store: Store) -> None:
    said = [
        Comparison(("b", "a"), "skip"),
        Ranking(("x", "y", "z"), ((2,), (0, 1))),
        from_ranks(("z", "y", "x"), [2, 1, 1]),
        Rating("x", "helpful", None, 1, 7),
        Rating("x", "harmless", 0, 0, 0.1),
        Binary("x", None),
        Binary("x", False),
    ]
    items = [("a", "b"), ("x", "y", "z"), ("x", "y", "z"), ("x",), ("x",), ("x",), ("x",)]
    for i, (feedback, shown) in enumerate(zip(said, items, strict=True)):
        (id,) = store.enqueue([NewQuery(str(i), type(feedback).__name__.lower(), shown, 0, {})])
        store.submit(NewResponse(f"u{i}", id, "ann", feedback, ()))
    assert [response.feedback for response in store.view(100)] == said


def test_the_same_answer_again_gives_the_same_receipt(store: Store) -> None:
    ask(store, "a", "b")
    response = reply(claimed(store, "ann"), "ann", "u1")
    receipt = store.submit(response, now=1)
    store.submit(reply(claimed(store, "bob"), "bob", "u2"), now=2)
    assert store.submit(response, now=99) == receipt == Receipt(receipt.response_id, 1, receipt.sha256)
    assert len(receipt.sha256) == 64
    assert [r.received_at for r in store.answers()] == [1, 2]


def test_the_same_uuid_with_another_body_is_a_conflict(store: Store) -> None:
    ask(store, "a")
    response = reply(claimed(store, "ann"), "ann", "u1")
    store.submit(response)
    for other in (
        replace(response, active_ms=1),
        replace(response, feedback=Comparison(("a-a", "a-b"), "second")),
        replace(response, annotator="bob"),
        replace(response, query_id=999),
    ):
        with pytest.raises(Conflict, match="u1"):
            store.submit(other)
    assert len(store.answers()) == 1


def test_answers_that_do_not_fit_are_refused_and_nothing_is_stored(store: Store) -> None:
    ask(store, "a")
    query = claimed(store, "ann")
    good = reply(query, "ann", "u1")
    bad = [
        replace(good, query_id=query.id + 1),
        replace(good, feedback=Binary("a-a", True)),
        replace(good, feedback=Comparison(("a-a", "x"), "first")),
        replace(good, feedback=Comparison(("a-a", "a-a"), "first")),
        replace(good, shown_order=query.shown_order[::-1]),
        replace(good, shown_order=()),
        replace(good, supersedes=77),
    ]
    for response in bad:
        with pytest.raises(PlauditError):
            store.submit(response, now=1)
    assert store.answers() == []
    assert store.submit(good, now=1).seq == 1


def test_an_unclaimed_question_may_be_answered_in_any_whole_order(store: Store) -> None:
    (id,) = ask(store, "a")
    wrong = NewResponse("u1", id, "ann", Comparison(("a-b", "a-a"), "first"), (0, 2))
    with pytest.raises(PlauditError, match="shown_order"):
        store.submit(wrong)
    store.submit(replace(wrong, shown_order=(1, 0)))
    assert store.view(9)[0].feedback == Comparison(("a-b", "a-a"), "first")


def test_nobody_answers_on_another_persons_lease(store: Store) -> None:
    ask(store, "a")
    query = claimed(store, "ann", now=0, seconds=10)
    stranger = replace(reply(query, "bob", "u1"), shown_order=())
    with pytest.raises(Conflict):
        store.submit(stranger, now=5)
    store.submit(stranger, now=10)
    with pytest.raises(Conflict):
        store.submit(reply(query, "ann", "u2"), now=11)
    assert [r.annotator for r in store.answers()] == ["bob"]


def test_a_late_answer_counts_while_nobody_else_took_the_question(store: Store) -> None:
    ask(store, "a", "b")
    late, taken = claimed(store, "ann", seconds=10), store.claim("ann", 10, 0, [1])
    assert claimed(store, "bob", now=50).id == late.id
    with pytest.raises(Conflict):
        store.submit(reply(late, "ann", "u1"), now=60)
    assert store.submit(reply(taken, "ann", "u2"), now=60).seq == 1


def test_a_second_answer_must_name_the_first(store: Store) -> None:
    ask(store, "a", wanted=2)
    query = claimed(store, "ann")
    store.submit(reply(query, "ann", "u1"))
    with pytest.raises(Conflict, match="supersedes"):
        store.submit(reply(query, "ann", "u2"))


# ---------------------------------------------------------------------------------------------- corrections


def test_superseding_changes_the_view_and_keeps_the_history(store: Store) -> None:
    ask(store, "a", "b")
    query = claimed(store, "ann")
    one = store.submit(reply(query, "ann", "u1", "first"))
    two = store.submit(reply(claimed(store, "ann"), "ann", "u2", "second"))
    three = store.submit(reply(query, "ann", "u3", "equal", supersedes=one.response_id))
    four = store.submit(reply(query, "ann", "u4", "skip", supersedes=three.response_id))
    assert [r.seq for r in (one, two, three, four)] == [1, 2, 3, 4]

    def standing(upto: int) -> list[tuple[int, str]]:
        return [(r.seq, r.feedback.answer) for r in store.view(upto)]

    assert standing(0) == standing(-5) == []
    assert standing(1) == [(1, "first")]
    assert standing(2) == [(1, "first"), (2, "second")]
    assert standing(3) == [(2, "second"), (3, "equal")]
    assert standing(4) == standing(2**40) == [(2, "second"), (4, "skip")]
    assert [r.feedback.answer for r in store.answers()] == ["first", "second", "equal", "skip"]
    assert store.pending() == 0


def test_only_the_own_latest_answer_to_the_question_can_be_superseded(store: Store) -> None:
    ask(store, "a", "b", wanted=2)
    query, other = claimed(store, "ann"), store.claim("bob", 60, 0)
    one = store.submit(reply(query, "ann", "u1"))
    store.submit(reply(other, "bob", "u2"))
    next_query = claimed(store, "ann")
    for response in (
        reply(other, "bob", "u3", supersedes=one.response_id),
        reply(next_query, "ann", "u4", supersedes=one.response_id),
        reply(query, "ann", "u5", supersedes=99),
    ):
        with pytest.raises(PlauditError, match="supersedes"):
            store.submit(response)
    store.submit(reply(query, "ann", "u6", supersedes=one.response_id))
    with pytest.raises(Conflict, match="already"):
        store.submit(reply(query, "ann", "u7", supersedes=one.response_id))
    assert len(store.answers()) == 3


# ---------------------------------------------------------------------------------------------- reading


def test_answers_and_questions_are_read_on_from_a_number(store: Store) -> None:
    ids = ask(store, "a", "b", "c", "d")
    for _ in range(4):
        query = claimed(store, "ann")
        receipt = store.submit(reply(query, "ann", f"u{query.key}"))
    store.submit(reply(query, "ann", "correction", "skip", receipt.response_id))

    def seqs(*arguments: int) -> list[int]:
        return [response.seq for response in store.answers(*arguments)]

    assert seqs() == [1, 2, 3, 4, 5] and seqs(3) == [4, 5] and seqs(5) == seqs(99) == []
    assert seqs(1, 3) == [2, 3] and seqs(3, 3) == seqs(4, 2) == seqs(0, 0) == seqs(-3, -1) == []
    assert seqs(-1, 2) == [1, 2] and seqs(4, 2**63 - 1) == [5]
    assert [store.count_answers(upto) for upto in (-1, 0, 3, 5, 99)] == [0, 0, 3, 5, 5]
    assert store.count_answers() == 5
    assert [query.id for query in store.queries(after=ids[1])] == ids[2:]
    assert store.queries(after=ids[3]) == [] and store.queries(after=-7) == store.queries()


def test_a_question_keeps_its_purpose(store: Store) -> None:
    asked = [replace(question(purpose), purpose=purpose) for purpose in PURPOSES]
    store.enqueue([*asked, question("unsaid")])
    found = {query.key: query.purpose for query in store.queries()}
    assert found == {purpose: purpose for purpose in PURPOSES} | {"unsaid": "train"}
    assert claimed(store, "ann").purpose == "train"
    store.enqueue([replace(question("unsaid"), purpose="gold")])
    assert store.queries()[-1].purpose == "train"  # what was stored first


def test_a_bound_is_drawn_once_per_reader_and_tick(place: Place) -> None:
    store = place.open()
    ask(store, *"abcd")

    def answer(n: int) -> None:
        store.submit(reply(claimed(store, "ann"), "ann", f"u{n}"))

    assert store.pin_cursor("trainer", 0) == 0
    answer(1)
    answer(2)
    assert store.pin_cursor("trainer", 1) == 2
    answer(3)
    store = place.open()  # the trainer was killed; its successor reads exactly what it read
    assert [store.pin_cursor("trainer", tick) for tick in (0, 1)] == [0, 2]
    assert [r.seq for r in store.view(store.pin_cursor("trainer", 1))] == [1, 2]
    assert store.pin_cursor("trainer", 2) == 3
    assert store.pin_cursor("report", 1) == 3
    answer(4)
    assert [store.pin_cursor("trainer", tick) for tick in (1, 2, 3)] == [2, 3, 4]
    with pytest.raises(PlauditError):
        store.pin_cursor("", 0)


def test_a_store_opened_again_has_everything(place: Place) -> None:
    store = place.open()
    ask(store, "a", "b", wanted=2)
    query = claimed(store, "ann")
    response = reply(query, "ann", "u1")
    receipt = store.submit(response, now=3)
    held = claimed(store, "bob")
    store.command("pause", {"until": "noon"})
    before = (store.answers(), store.queries(), store.pending(), store.commands())
    store = place.open()
    assert (store.answers(), store.queries(), store.pending(), store.commands()) == before
    assert store.submit(response, now=9) == receipt
    assert claimed(store, "bob") == held


def test_commands_come_in_order_after_a_cursor(store: Store) -> None:
    assert store.commands() == []
    ids = [store.command(kind, {"by": "ann", "n": n}) for n, kind in enumerate(["pause", "start", "stop"])]
    assert [c.id for c in store.commands()] == ids == sorted(ids)
    assert [(c.kind, c.payload["n"]) for c in store.commands(after=ids[0])] == [("start", 1), ("stop", 2)]
    assert store.commands(after=ids[2]) == []
    with pytest.raises(PlauditError, match="payload"):
        store.command("stop", {"x": object()})
    with pytest.raises(PlauditError, match="kind"):
        store.command("", {})


# ---------------------------------------------------------------------------------------------- together


def test_threads_share_a_store_without_loss_or_duplicates(store: Store) -> None:
    ask(store, *map(str, range(40)), wanted=2)
    receipts: dict[str, list[tuple[int, Receipt]]] = {f"p{i}": [] for i in range(6)}
    failures: list[BaseException] = []

    def work(person: str) -> None:
        try:
            while (query := store.claim(person, 60, 0)) is not None:
                receipts[person].append(
                    (query.id, store.submit(reply(query, person, f"{person}/{query.id}")))
                )
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(person,)) for person in receipts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    history = store.answers()
    assert [r.seq for r in history] == list(range(1, 81))
    assert Counter(r.query_id for r in history) == Counter({query.id: 2 for query in store.queries()})
    assert len({(r.annotator, r.query_id) for r in history}) == 80
    assert sorted(receipt.seq for own in receipts.values() for _, receipt in own) == list(range(1, 81))
    assert store.pending() == 0


def test_one_person_in_two_tabs_gets_one_question_and_one_answer(store: Store) -> None:
    ask(store, *"abcd", wanted=3)
    results: list[object] = []
    barrier = threading.Barrier(4)

    def tab(n: int) -> None:
        barrier.wait(10)
        query = claimed(store, "ann")  # there is always one left: four tabs, four questions
        results.append(query)
        try:
            results.append(store.submit(reply(query, "ann", f"tab{n}")))
        except Conflict as error:
            results.append(error)

    threads = [threading.Thread(target=tab, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stored = [r.query_id for r in store.answers()]
    assert len(results) == 8
    assert len(stored) == len(set(stored)) == sum(isinstance(result, Receipt) for result in results)


# ---------------------------------------------------------------------------------------------- bad fields

ANSWER = NewResponse("u1", 1, "ann", Binary("x", True), ())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", ""),
        ("key", "a\x00"),
        ("key", "\ud800"),
        ("kind", "opinion"),
        ("kind", ["comparison"]),
        ("items", ("a",)),
        ("items", ("a", "b", "c")),
        ("items", ("a", "")),
        ("items", ["a", "b"]),
        ("tick", 1.5),
        ("tick", True),
        ("wanted", 0),
        ("wanted", 2**63),
        ("purpose", "exam"),
        ("purpose", None),
    ],
)
def test_a_bad_field_of_a_question(field: str, value: object) -> None:
    with pytest.raises(PlauditError, match=rf"query\.{field}"):
        replace(question("a"), **{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_uuid", ""),
        ("client_uuid", None),
        ("annotator", "\udfff"),
        ("query_id", "1"),
        ("query_id", 2**63),
        ("query_id", -1),
        ("feedback", {"kind": "binary"}),
        ("shown_order", [0, 1]),
        ("shown_order", (0, "1")),
        ("shown_order", (-1,)),
        ("active_ms", -1),
        ("active_ms", 1.5),
        ("supersedes", "u0"),
    ],
)
def test_a_bad_field_of_an_answer(field: str, value: object) -> None:
    with pytest.raises(PlauditError, match=rf"response\.{field}"):
        replace(ANSWER, **{field: value})
