"""A store that was lost or damaged comes back, with every answer under the number it had."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.pipeline.restore import restore
from plaudit.pipeline.verify import verify
from plaudit.storage import NewQuery, NewResponse, copies
from plaudit.storage.office import Office, open_office
from plaudit.storage.serving import held
from plaudit.web.mirror import line
from tests.web.asking import make_folder

PAIRS = 30


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with questions that two people answer each."""
    return make_folder(tmp_path / "run", PAIRS, wanted=2, stage="label")


def answer(office: Office, who: str, count: int) -> list[dict[str, Any]]:
    """Answer as many questions as asked for; the receipts."""
    receipts = []
    for _ in range(count):
        query = office.reception.claim(who, 1, 60.0)[0]
        items = tuple(query.items[place] for place in query.shown_order)
        said = NewResponse(
            f"{who}-{query.id}",
            query.id,
            who,
            Comparison((items[0], items[1]), "first"),
            query.shown_order,
            900,
        )
        receipt = office.reception.submit(said)
        receipts.append({"client_uuid": said.client_uuid} | asdict(receipt))
    return receipts


def mirror(office: Office, run: Path) -> None:
    """Write responses.jsonl as a server does."""
    text = "".join(line(response, sha256) for response, sha256 in office.reception.after(0))
    (run / "responses.jsonl").write_text(text, encoding="utf-8")


def proven(run: Path, receipts: list[dict[str, Any]]) -> None:
    """Nothing that was acknowledged is missing."""
    file = run / "receipts.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in receipts))
    found = verify(run, file)
    assert found.faults == [] and found.receipts == len(receipts)


@pytest.mark.parametrize("loss", ["gone", "damaged", "emptied"])
def test_every_answer_comes_back_with_its_number(run: Path, loss: str) -> None:
    office = open_office(run / "feedback.db")
    receipts = answer(office, "ann", 12)
    copies.copy(run / "feedback.db")
    receipts += answer(office, "ann", 3) + answer(office, "bob", 5)
    old = office.store.view(10**6)[-1]
    undone = NewResponse("undo", old.query_id, "bob", old.feedback, old.shown_order, 5, old.id)
    receipts.append({"client_uuid": "undo"} | asdict(office.store.submit(undone)))
    before, waiting = office.reception.after(0), office.store.pending()
    latest = office.reception.latest("bob", 5)
    mirror(office, run)
    office.store.close()
    store = run / "feedback.db"
    if loss == "gone":
        store.unlink()
    else:
        store.write_bytes(b"" if loss == "emptied" else b"nonsense" * 2000)
    found = restore(run)
    assert (found.copied, found.added, found.left) == (12, 9, 0)
    assert (found.aside is None) == (loss == "gone")
    proven(run, receipts)
    office = open_office(store)
    assert office.reception.after(0) == before and office.store.pending() == waiting
    assert office.reception.latest("bob", 5) == latest  # what undo goes through
    receipts += answer(office, "bob", 1)
    office.store.close()
    proven(run, receipts)


def test_repeats_that_were_asked_after_the_copy_come_back_too(tmp_path: Path) -> None:
    """The server itself asks them, one in twenty: without them little of what came after a copy would come back."""
    run = make_folder(tmp_path / "run", 100, stage="label")
    office = open_office(run / "feedback.db")
    copies.copy(run / "feedback.db")
    receipts = answer(office, "ann", 45) + answer(office, "bob", 5)
    before, asked_twice = office.reception.after(0), office.reception.repeats()
    assert len(asked_twice) == 3
    mirror(office, run)
    office.store.close()
    found = restore(run)
    assert (found.copied, found.added, found.left, found.kept) == (0, 50, 0, None)
    proven(run, receipts)
    office = open_office(run / "feedback.db")
    assert office.reception.after(0) == before and office.reception.repeats() == asked_twice
    assert not asked_twice.keys() & {query.id for query in office.reception.claim("eve", 20, 60.0)}
    answer(office, "ann", 3)
    assert office.reception.repeats() == asked_twice  # one in each twenty, as if nothing had happened
    office.store.close()


def test_answers_to_questions_that_the_copy_does_not_know_are_told(run: Path) -> None:
    """They stay in the mirror; what comes after them does too, as numbers have no gaps."""
    office = open_office(run / "feedback.db")
    receipts = answer(office, "ann", 2)
    copies.copy(run / "feedback.db")
    receipts += answer(office, "ann", 1)
    items = office.store.queries()[0].items
    (new,) = office.store.enqueue([NewQuery("new", "comparison", items, 4, {})])
    said = Comparison((items[0], items[1]), "first")
    office.store.submit(NewResponse("late", new, "eve", said, (0, 1)))
    answer(office, "ann", 1)
    mirror(office, run)
    office.store.close()
    found = restore(run)
    assert (found.copied, found.added, found.left) == (2, 1, 2)
    assert found.kept == run / "responses.jsonl.before-1" and len(found.kept.read_text().splitlines()) == 5
    assert verify(run).faults == []  # what is left is told once, and is no fault of the store for ever
    office = open_office(run / "feedback.db")
    assert len(office.store.history()) == 3
    office.store.close()
    assert found.aside is not None and len(open_office(found.aside).store.history()) == 5


def test_a_mirror_that_was_changed_is_refused_and_nothing_is_touched(run: Path) -> None:
    office = open_office(run / "feedback.db")
    copies.copy(run / "feedback.db")
    answer(office, "ann", 2)
    mirror(office, run)
    office.store.close()
    lines = (run / "responses.jsonl").read_text().replace('"active_ms":900', '"active_ms":901', 1)
    (run / "responses.jsonl").write_text(lines)
    with pytest.raises(PlauditError, match=r"answer 1 is not what was stored .* drop its line"):
        restore(run)
    office = open_office(run / "feedback.db")
    assert len(office.store.history()) == 2
    office.store.close()


def test_without_a_copy_or_with_a_damaged_one(run: Path) -> None:
    with pytest.raises(PlauditError, match=r"feedback.db.copy: there is no such copy; give the path"):
        restore(run)
    (run / "feedback.db.copy").write_bytes(b"nonsense" * 2000)
    with pytest.raises(PlauditError, match="feedback.db.copy"):
        restore(run)


def test_a_run_that_is_served_is_left_alone(run: Path) -> None:
    copies.copy(run / "feedback.db")
    with held(run / "server.json"), pytest.raises(PlauditError, match="another server is serving it"):
        restore(run)
