"""A store that was lost or damaged comes back, with every answer under the number it had."""

import json
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from plaudit.cli.restore import main
from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.stages.verify import restore, verify
from plaudit.storage import Conflict, NewQuery, NewResponse, Query, backup, sqlite_file
from plaudit.storage.database import Database, open_database
from plaudit.storage.serving import held
from plaudit.storage.store import NotYours
from plaudit.web.feedback_log import FeedbackLog
from tests.web.asking import make_folder

PAIRS = 30


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with questions that two people answer each."""
    return make_folder(tmp_path / "run", PAIRS, wanted=2, stage="label")


def said(who: str, query: Query) -> NewResponse:
    """An answer to what was claimed, as a page sends it."""
    items = tuple(query.items[place] for place in query.shown_order)
    feedback = Comparison((items[0], items[1]), "first")
    return NewResponse(f"{who}-{query.id}", query.id, who, feedback, query.shown_order, 900)


def answer(database: Database, who: str, count: int) -> list[dict[str, Any]]:
    """Answer as many questions as asked for; the receipts."""
    receipts = []
    for _ in range(count):
        query = database.queue.claim(who, 1, 60.0)[0]
        given = said(who, query)
        receipts.append({"client_uuid": given.client_uuid} | asdict(database.queue.submit(given)))
    return receipts


def mirror(database: Database, run: Path) -> None:
    """Write questions.jsonl and responses.jsonl as a server does."""
    beside = FeedbackLog(database.queue, run / "responses.jsonl")
    beside.start()
    beside.close()


def tables(run: Path) -> list[list[Any]]:
    """All of what the store holds of questions and answers."""
    with closing(sqlite_file.connect(run / "feedback.db", "ro")) as connection:
        names = ("queries", "repeats", "responses")
        return [connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in names]


def proven(run: Path, receipts: list[dict[str, Any]]) -> None:
    """Nothing that was acknowledged is missing."""
    file = run / "receipts.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in receipts))
    found = verify(run, file)
    assert found.faults == [] and found.receipts == len(receipts)


@pytest.mark.parametrize("loss", ["gone", "damaged", "emptied"])
def test_every_answer_comes_back_with_its_number(run: Path, loss: str) -> None:
    database = open_database(run / "feedback.db")
    receipts = answer(database, "ann", 12)
    backup.copy(run / "feedback.db")
    receipts += answer(database, "ann", 3) + answer(database, "bob", 5)
    old = database.store.view(10**6)[-1]
    undone = NewResponse("undo", old.query_id, "bob", old.feedback, old.shown_order, 5, old.id)
    receipts.append({"client_uuid": "undo"} | asdict(database.store.submit(undone)))
    before, waiting = database.queue.after(0), database.store.pending()
    latest = database.queue.latest("bob", 5)
    mirror(database, run)
    database.store.close()
    store = run / "feedback.db"
    if loss == "gone":
        store.unlink()
    else:
        store.write_bytes(b"" if loss == "emptied" else b"nonsense" * 2000)
    found = restore(run)
    assert (found.copied, found.added, found.left) == (12, 9, 0)
    assert (found.aside is None) == (loss == "gone")
    proven(run, receipts)
    database = open_database(store)
    assert database.queue.after(0) == before and database.store.pending() == waiting
    assert database.queue.latest("bob", 5) == latest  # what undo goes through
    receipts += answer(database, "bob", 1)
    database.store.close()
    proven(run, receipts)


def test_repeats_that_were_asked_after_the_copy_come_back_too(tmp_path: Path) -> None:
    """The server itself asks them, one in twenty: without them little of what came after a copy would come back."""
    run = make_folder(tmp_path / "run", 100, stage="label")
    database = open_database(run / "feedback.db")
    backup.copy(run / "feedback.db")
    receipts = answer(database, "ann", 45) + answer(database, "bob", 5)
    before, asked_twice = database.queue.after(0), database.queue.repeats()
    assert len(asked_twice) == 3
    mirror(database, run)
    database.store.close()
    found = restore(run)
    assert (found.copied, found.added, found.left, found.kept) == (0, 50, 0, None)
    proven(run, receipts)
    database = open_database(run / "feedback.db")
    assert database.queue.after(0) == before and database.queue.repeats() == asked_twice
    assert not asked_twice.keys() & {query.id for query in database.queue.claim("eve", 20, 60.0)}
    answer(database, "ann", 3)
    assert database.queue.repeats() == asked_twice  # one in each twenty, as if nothing had happened
    database.store.close()


def newer(database: Database, count: int) -> list[int]:
    """Questions younger than the copy; the first shows the very options of an earlier one."""
    items = database.store.queries()[0].items
    new = [
        NewQuery(f"new/{n}", "comparison", items, 4, {"prompt": "Why now?", "weight": 0.1}, 2)
        for n in range(count)
    ]
    return database.store.enqueue(new)


def test_questions_that_came_after_the_copy_come_back_with_their_answers(run: Path) -> None:
    database = open_database(run / "feedback.db")
    receipts = answer(database, "ann", 18)
    backup.copy(run / "feedback.db")
    ids = newer(database, 3)
    receipts += answer(database, "ann", 15)
    late = max(database.queue.repeats())
    items = database.store.queries(ids)[0].items
    for id in ids[:2]:  # the same options as the first question, and no repeat of it
        given = NewResponse(f"eve-{id}", id, "eve", Comparison((items[0], items[1]), "second"), (0, 1))
        receipts.append({"client_uuid": given.client_uuid} | asdict(database.store.submit(given)))
    unanswered = database.store.enqueue([NewQuery("held-out/9/1", "comparison", items, 9, {}, 1, "held_out")])
    mirror(database, run)
    before, lessons, waiting = tables(run), database.store.view(10**6), database.store.pending()
    assert late > ids[-1] and {late, *ids, *unanswered} < {row[0] for row in before[0]}
    database.store.close()
    (run / "feedback.db").unlink()
    found = restore(run)
    assert (found.copied, found.added, found.left) == (18, 17, 0)
    assert tables(run) == before
    database = open_database(run / "feedback.db")
    assert database.store.view(10**6) == lessons and database.store.pending() == waiting
    mirror(database, run)
    database.store.close()
    proven(run, receipts)
    assert len((run / "questions.jsonl").read_text().splitlines()) == len(before[0])


def test_a_repeat_that_nobody_has_answered_yet_comes_back_as_it_was_shown(run: Path) -> None:
    database = open_database(run / "feedback.db")
    backup.copy(run / "feedback.db")
    while not database.queue.repeats():
        answer(database, "ann", 1)
        database.queue.claim("ann", 1, 60.0)
    (repeat,) = database.queue.repeats()
    (shown,) = [query for query in database.queue.claim("ann", 9, 60.0) if query.id == repeat]
    mirror(database, run)
    database.store.close()
    restore(run)
    database = open_database(run / "feedback.db")
    assert shown in database.queue.claim("ann", 9, 60.0)
    assert repeat not in {query.id for query in database.queue.claim("eve", 40, 60.0)}
    database.store.close()


def test_an_answer_that_waited_in_a_browser_during_the_loss_is_taken(run: Path) -> None:
    database = open_database(run / "feedback.db")
    backup.copy(run / "feedback.db")
    (one, other) = database.queue.claim("ann", 2, 60.0)
    mirror(database, run)
    database.store.close()
    restore(run)
    database = open_database(run / "feedback.db")
    wrong = replace(said("ann", one), shown_order=(0, 0))
    with pytest.raises(NotYours, match="never given to you"):
        database.queue.submit(wrong)
    with pytest.raises(NotYours, match="never given to you"):
        database.queue.submit(said("ann", one), "of before")
    receipt = database.queue.submit(said("ann", one))
    assert database.queue.submit(said("ann", one)) == receipt
    ((kept, asked),) = database.queue.latest("ann", 9)
    assert kept.feedback == said("ann", one).feedback and asked == one
    held = [database.queue.claim(who, 40, 60.0) for who in ("bob", "eve")]
    assert all(other.id in {query.id for query in some} for some in held)
    with pytest.raises(Conflict, match="is with other people now"):
        database.queue.submit(said("ann", other))
    database.store.close()


def test_nobody_answers_anothers_repeat_after_a_loss_either(run: Path) -> None:
    database = open_database(run / "feedback.db")
    backup.copy(run / "feedback.db")
    while not database.queue.repeats():
        answer(database, "ann", 1)
        database.queue.claim("ann", 1, 60.0)
    (repeat,) = database.queue.repeats()
    mirror(database, run)
    database.store.close()
    restore(run)
    database = open_database(run / "feedback.db")
    (asked,) = database.store.queries([repeat])
    with pytest.raises(NotYours, match="never given to you"):
        database.queue.submit(said("bob", replace(asked, shown_order=(0, 1))))
    database.store.close()


def test_in_a_store_that_was_never_lost_only_what_was_given_is_answered(run: Path) -> None:
    database = open_database(run / "feedback.db")
    (query,) = database.store.queries([1])
    with pytest.raises(NotYours, match="query 1 was never given to you"):
        database.queue.submit(said("ann", replace(query, shown_order=(0, 1))))
    assert database.store.answers() == []
    database.store.close()


def test_who_joined_after_the_copy_is_invited_again(run: Path) -> None:
    database = open_database(run / "feedback.db")
    database.people.join(database.people.invite("admin", "Ann")[1])
    backup.copy(run / "feedback.db")
    database.people.join(database.people.invite("annotator", "Bob")[1])
    answer(database, "Bob", 2)
    with pytest.raises(Conflict, match="'Bob' is taken"):
        database.people.invite("annotator", "Bob")
    mirror(database, run)
    database.store.close()
    restore(run)
    database = open_database(run / "feedback.db")
    for name in ("Ann", "bob"):
        with pytest.raises(Conflict, match="is taken"):
            database.people.invite("annotator", name)
    with pytest.raises(
        Conflict, match="'Bob' is taken"
    ):  # nobody comes by another's answers through an open link
        database.people.join(database.people.invite("annotator")[1], "Bob")
    person, _ = database.people.join(database.people.invite("annotator", "Bob")[1])
    assert person.name == "Bob" and len(database.queue.latest("Bob", 9)) == 2
    with pytest.raises(Conflict, match="'Bob' is taken"):
        database.people.invite("annotator", "Bob")
    database.store.close()


def test_the_command_tells_what_is_back_and_what_is_not(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = open_database(run / "feedback.db")
    backup.copy(run / "feedback.db")
    answer(database, "ann", 2)
    mirror(database, run)
    database.store.close()
    assert main([str(run)]) == 0
    told = capsys.readouterr().out
    assert "0 answers from the copy and 2 that came after it are in the store again." in told
    assert "Who joined or was let go after the copy" in told and "must be invited or let go again" in told


def test_without_a_list_of_questions_what_the_copy_does_not_know_is_told(run: Path) -> None:
    """Such answers stay in the mirror; what comes after them does too, as numbers have no gaps."""
    database = open_database(run / "feedback.db")
    answer(database, "ann", 2)
    backup.copy(run / "feedback.db")
    answer(database, "ann", 1)
    (new,) = newer(database, 1)
    items = database.store.queries([new])[0].items
    database.store.submit(NewResponse("late", new, "eve", Comparison((items[0], items[1]), "first"), (0, 1)))
    answer(database, "ann", 1)
    mirror(database, run)
    database.store.close()
    (run / "questions.jsonl").unlink()
    found = restore(run)
    assert (found.copied, found.added, found.left) == (2, 1, 2)
    assert found.kept == run / "responses.jsonl.before-1"
    assert len((run / "responses.jsonl.before-1").read_text().splitlines()) == 5
    assert verify(run).faults == []  # what is left is told once, and is no fault of the store for ever
    database = open_database(run / "feedback.db")
    assert len(database.store.answers()) == 3
    database.store.close()
    assert found.aside is not None and len(open_database(found.aside).store.answers()) == 5


def test_lists_of_another_store_are_refused(run: Path) -> None:
    database = open_database(run / "feedback.db")
    backup.copy(run / "feedback.db")
    mirror(database, run)
    database.store.close()
    lines = (run / "questions.jsonl").read_text().replace('"key":"q1"', '"key":"other"')
    (run / "questions.jsonl").write_text(lines)
    with pytest.raises(
        PlauditError, match=r"questions.jsonl, line 2: another question than question 2 of the copy"
    ):
        restore(run)


def test_a_mirror_that_was_changed_is_refused_and_nothing_is_touched(run: Path) -> None:
    database = open_database(run / "feedback.db")
    backup.copy(run / "feedback.db")
    answer(database, "ann", 2)
    mirror(database, run)
    database.store.close()
    lines = (run / "responses.jsonl").read_text().replace('"active_ms":900', '"active_ms":901', 1)
    (run / "responses.jsonl").write_text(lines)
    with pytest.raises(PlauditError, match=r"answer 1 is not what was stored .* drop its line"):
        restore(run)
    database = open_database(run / "feedback.db")
    assert len(database.store.answers()) == 2
    database.store.close()


def test_without_a_copy_or_with_a_damaged_one(run: Path) -> None:
    with pytest.raises(PlauditError, match=r"feedback.db.copy: there is no such copy; give the path"):
        restore(run)
    (run / "feedback.db.copy").write_bytes(b"nonsense" * 2000)
    with pytest.raises(PlauditError, match="feedback.db.copy"):
        restore(run)


@pytest.mark.parametrize("content", [b"", None], ids=["empty", "no tables"])
def test_a_file_without_a_store_is_no_copy(run: Path, content: bytes | None) -> None:
    if content is None:
        sqlite_file.connect(run / "feedback.db.copy", "rwc").execute(
            f"PRAGMA application_id = {sqlite_file.APPLICATION_ID}"
        )
    else:
        (run / "feedback.db.copy").write_bytes(content)
    with pytest.raises(PlauditError, match=r"feedback.db.copy: no store is in this file"):
        restore(run)
    assert not list(run.glob("feedback.db.before*"))


def test_a_copy_of_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    other = make_folder(tmp_path / "other", 3, stage="label")
    for folder in (run, other):
        open_database(folder / "feedback.db").store.close()
    foreign = backup.copy(other / "feedback.db")
    with pytest.raises(
        PlauditError, match=r"other/feedback.db.copy is a copy of another store than .*run/feedback"
    ):
        restore(run, foreign)
    (run / "feedback.db").write_bytes(b"nonsense" * 2000)
    assert restore(run, foreign).copied == 0  # nothing says whose a damaged one was


DAMAGE = {
    "no answer": ("responses.jsonl", {"text": 3}, "`client_uuid` is missing"),
    "a text for a number": ("responses.jsonl", {"seq": "3"}, "`seq` is damaged"),
    "a huge number": ("responses.jsonl", {"id": 10**30}, "`id` is damaged"),
    "no feedback": ("responses.jsonl", {"feedback": {"kind": "nonsense"}}, "feedback"),
    "no question": ("questions.jsonl", {"key": None}, "`key` is damaged"),
    "no options": ("questions.jsonl", {"items": []}, "query.items"),
    "half a repeat": ("questions.jsonl", {"repeat": {"block": 0}}, "`original_id` is missing"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_line_is_named(run: Path, damage: str) -> None:
    name, changes, why = DAMAGE[damage]
    database = open_database(run / "feedback.db")
    backup.copy(run / "feedback.db")
    newer(database, 1)
    answer(database, "ann", 1)
    mirror(database, run)
    database.store.close()
    *before, last = (run / name).read_text().splitlines()
    row = changes if damage == "no answer" else json.loads(last) | changes
    (run / name).write_text("\n".join([*before, json.dumps(row)]) + "\n")
    with pytest.raises(PlauditError, match=rf"{name}, line {len(before) + 1}: .*{why}"):
        restore(run)


def test_lists_that_run_ahead_of_a_copy_put_back_by_hand_are_put_aside(run: Path) -> None:
    database = open_database(run / "feedback.db")
    answer(database, "ann", 2)
    backup.copy(run / "feedback.db")
    answer(database, "ann", 2)
    mirror(database, run)
    before = (run / "responses.jsonl").read_bytes()
    database.store.close()
    (run / "feedback.db.copy").replace(run / "feedback.db")
    database = open_database(run / "feedback.db")
    for _ in range(2):  # once is enough
        answer(database, "bob", 1)
        mirror(database, run)
    database.store.close()
    assert (run / "responses.jsonl.before-1").read_bytes() == before
    assert [file.name for file in run.glob("*.before-*")].count("questions.jsonl.before-1") == 1
    assert len(list(run.glob("*.before-*"))) == 2
    assert verify(run).mirrored == 4 and verify(run).faults == []


def test_lists_whose_end_is_damaged_are_written_anew(run: Path) -> None:
    database = open_database(run / "feedback.db")
    answer(database, "ann", 2)
    mirror(database, run)
    with (run / "responses.jsonl").open("a") as file:
        file.write("nonsense\n")
    mirror(database, run)
    database.store.close()
    assert verify(run).mirrored == 2 and (run / "responses.jsonl.before-1").exists()


def test_a_run_that_is_served_is_left_alone(run: Path) -> None:
    backup.copy(run / "feedback.db")
    with held(run / "server.json"), pytest.raises(PlauditError, match="another server is serving it"):
        restore(run)
