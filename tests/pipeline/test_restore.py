"""A store from its newest copy, and what came after it from responses.jsonl: nothing that can be had is lost."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plaudit.cli import main as cli
from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.pipeline.questions import Items, prepare
from plaudit.pipeline.restore import restore
from plaudit.pipeline.verify import verify
from plaudit.storage import NewQuery, NewResponse, Store, backups, open_store
from plaudit.storage.office import open_office
from plaudit.storage.serving import alone
from plaudit.web import mirror

HOLD = """
import sys, time
from pathlib import Path
from plaudit.pipeline.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six questions, two answers, a copy; then three answers more, one of them a correction of a copied one."""
    rows = [{"prompt": f"p{i}", "chosen": "a", "rejected": "b"} for i in range(6)]
    items = tmp_path / "pairs.jsonl"
    items.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = tmp_path / "labels"
    prepare(Items(items), folder)
    store = open_store(folder / "feedback.db")
    for number in range(2):
        answer(store, "ann", f"u{number}", 100.0 + number)
    assert store.claim("bob", 900.0, 103.0) is not None  # who leaves it again
    assert backups.back_up(folder / "feedback.db")
    for number in range(2, 4):
        answer(store, "ann", f"u{number}", 2000.0 + number)
    first = store.history()[0]
    said = Comparison(first.feedback.options, "equal")  # type: ignore[union-attr]
    fix = NewResponse("fix", first.query_id, "ann", said, first.shown_order, None, first.id)
    store.submit(fix, 2010.0)
    store.close()
    mirrored(folder)
    return folder


def answer(store: Store, who: str, uuid: str, now: float) -> None:
    query = store.claim(who, 60.0, now)
    assert query is not None
    said = Comparison((query.items[0], query.items[1]), "first")
    store.submit(NewResponse(uuid, query.id, who, said, query.shown_order), now)


def mirrored(folder: Path) -> None:
    """Write responses.jsonl as a server does."""
    office = open_office(folder / "feedback.db")
    lines = [mirror.line(response, sha256) for response, sha256 in office.reception.after(0)]
    (folder / "responses.jsonl").write_text("".join(lines))
    office.store.close()


def history(folder: Path) -> list[object]:
    store = open_store(folder / "feedback.db")
    found = store.history()
    store.close()
    return list(found)


def test_nothing_is_lost(folder: Path, tmp_path: Path) -> None:
    before, receipts = history(folder), tmp_path / "receipts.jsonl"
    rows = [json.loads(line) for line in (folder / "responses.jsonl").read_text().splitlines()]
    receipts.write_text("".join(json.dumps(row | {"response_id": row["id"]}) + "\n" for row in rows))
    damaged = (folder / "feedback.db").read_bytes()[:5000]
    (folder / "feedback.db").write_bytes(damaged)
    with pytest.raises(PlauditError, match=r"is damaged.*plaudit restore"):
        open_store(folder / "feedback.db")
    restored = restore(folder)
    assert (restored.answers, restored.again, restored.lost) == (2, 3, [])
    assert history(folder) == before
    assert verify(folder, receipts).faults == []
    assert (folder / "feedback.db.replaced-1").read_bytes() == damaged
    assert not (folder / "responses.jsonl").exists()  # the next server writes it anew


def test_a_copy_by_name_and_what_cannot_be_stored_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(folder / "feedback.db")
    store.enqueue([NewQuery("late", "comparison", ("x", "y"), 0, {})])
    for number in range(4, 7):
        answer(store, "ann", f"u{number}", 3000.0 + number)
    store.close()
    mirrored(folder)
    copy = Path(shutil.copy(backups.copies(folder / "feedback.db")[0], tmp_path / "my-copy.db"))
    assert cli.main(["restore", str(folder), str(copy)]) == 1
    said = capsys.readouterr()
    assert f"2 answers from {copy}, and 5 later ones" in said.out
    assert "line 8: query 7 does not exist" in said.out and "1 later answers" in said.err
    assert len(history(folder)) == 7


def test_what_must_stay_as_it_is(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    trainer = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True)
    assert trainer.stdout is not None and trainer.stdout.readline() == "held\n"
    with pytest.raises(PlauditError, match="another process is working on this run"):
        restore(folder)
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    with alone(folder / "server.json"), pytest.raises(PlauditError, match="another server is serving it"):
        restore(folder)
    with pytest.raises(PlauditError, match="is what is to be replaced"):
        restore(folder, folder / "feedback.db")
    with pytest.raises(PlauditError, match=r"nowhere.db: no copy"):
        restore(folder, folder / "nowhere.db")
    (folder / "not.db").write_bytes(b"not a database" * 100)
    with pytest.raises(PlauditError, match="not a SQLite file"):
        restore(folder, folder / "not.db")
    (folder / "not.db").unlink()
    for copy in backups.copies(folder / "feedback.db"):
        copy.unlink(missing_ok=True)
    with pytest.raises(PlauditError, match=r"feedback.db.backup-1: no copy of the answers is here"):
        restore(folder)
    kept = {*before} - {"feedback.db.backup-1"}
    assert kept <= {path.name for path in folder.iterdir()} and len(history(folder)) == 5
