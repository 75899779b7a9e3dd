"""A state store has a copy beside it."""

import sqlite3
import time
from pathlib import Path

import pytest

from plaudit.errors import PlauditError
from plaudit.storage import NewQuery, Query, open_store
from plaudit.storage.backup import copy_path, counts
from plaudit.web.folder import Folder
from plaudit.web.state import AppState
from tests.web.asking import Site


def held(folder: Path) -> tuple[int, int]:
    """Questions and answers of the copy; opened for reading alone, as it may be replaced at any moment."""
    return counts(copy_path(folder / "feedback.db"))


def test_what_is_new_is_copied_soon_and_at_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaudit.web.folder.EVERY_SECONDS", 0.02)
    state = AppState.open(Folder(folder))
    state.start()
    ann = Site(state).let_in("Ann")
    ann.answer(ann.tasks()[0])
    items = state.database.store.queries()[0].items
    state.database.store.enqueue([NewQuery("new", "comparison", items, 4, {})])
    until = time.monotonic() + 20
    while not (folder / "feedback.db.copy").exists() or held(folder) != (6, 1):
        assert time.monotonic() < until
        time.sleep(0.05)
    monkeypatch.setattr("plaudit.web.folder.EVERY_SECONDS", 60.0)
    time.sleep(0.05)
    ann.answer(ann.tasks()[0])
    state.close()
    assert held(folder) == (6, 2)


def test_a_copy_that_cannot_be_made_is_told_and_nothing_else_happens(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "feedback.db.copy.partial").mkdir()
    state = AppState.open(Folder(folder))
    state.start()
    ann = Site(state).let_in("Ann")
    assert ann.answer(ann.tasks()[0]).status_code == 200
    state.close()
    assert "no copy of the store was made" in capsys.readouterr().err


def test_a_store_that_was_emptied_does_not_push_its_copy_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = AppState.open(Folder(folder))
    state.start()
    state.close()
    assert held(folder) == (5, 0)
    (folder / "feedback.db.copy").write_bytes(b"nonsense" * 1000)
    state = AppState.open(Folder(folder))
    state.start()
    state.close()
    assert held(folder) == (5, 0)  # a damaged one is made again
    (folder / "feedback.db").unlink()
    open_store(folder / "feedback.db").close()
    state = AppState.open(Folder(folder))
    state.start()
    state.close()
    assert held(folder) == (5, 0)
    assert "it holds less than its copy, or is another store; plaudit restore" in capsys.readouterr().err


def serve(folder: Path) -> None:
    """Serve a moment; a copy is made at the end."""
    state = AppState.open(Folder(folder))
    state.start()
    state.close()


def test_another_store_does_not_push_a_copy_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    serve(folder)
    queries = queries_of(folder)
    (folder / "feedback.db").unlink()
    store = open_store(folder / "feedback.db")
    store.enqueue([NewQuery(f"other {i}", "comparison", queries[0].items, 1, {}) for i in range(9)])
    store.close()
    serve(folder)
    assert held(folder) == (5, 0)
    assert "is another store; plaudit restore" in capsys.readouterr().err


def queries_of(folder: Path) -> list[Query]:
    store = open_store(folder / "feedback.db")
    try:
        return store.queries()
    finally:
        store.close()


def test_a_damaged_store_does_not_push_a_sound_copy_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(folder)
    state = AppState.open(Folder(folder))
    state.start()
    ann = Site(state).let_in("Ann")
    ann.answer(ann.tasks()[0])
    with sqlite3.connect(folder / "feedback.db") as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'queries'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (folder / "feedback.db").open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\x99" * size)
    state.close()
    assert "no copy of the store was made" in capsys.readouterr().err
    assert held(folder) == (5, 0)


def test_people_who_were_let_go_are_news_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaudit.web.folder.EVERY_SECONDS", 0.02)
    state = AppState.open(Folder(folder))
    state.start()
    Site(state).let_in("Ann")
    ann = next(person for person in state.database.people.everyone() if person.name == "Ann")
    state.database.people.revoke(ann.id)
    until = time.monotonic() + 20
    while not revoked(folder):
        assert time.monotonic() < until
        time.sleep(0.05)
    state.close()


def revoked(folder: Path) -> bool:
    """Whether the copy knows that somebody was let go."""
    if not (copy := copy_path(folder / "feedback.db")).exists():
        return False
    connection = sqlite3.connect(f"file:{copy}?mode=ro", uri=True)
    try:
        return bool(connection.execute("SELECT count(revoked_at) FROM people").fetchone()[0])
    finally:
        connection.close()


def test_a_store_that_is_gone_is_not_begun_anew(folder: Path) -> None:
    serve(folder)
    (folder / "feedback.db").unlink()
    with pytest.raises(
        PlauditError, match=r"feedback\.db is gone, and feedback\.db\.copy is still there.*restore"
    ):
        AppState.open(Folder(folder))
    assert not (folder / "feedback.db").exists()
