"""A served store has a copy beside it."""

import time
from pathlib import Path

import pytest

from plaudit.storage import NewQuery, open_store
from plaudit.storage.copies import copy_path, counts
from plaudit.web import copying
from plaudit.web.folder import Folder
from plaudit.web.served import Served
from tests.web.asking import Door


def held(folder: Path) -> tuple[int, int]:
    """Questions and answers of the copy; opened for reading alone, as it may be replaced at any moment."""
    return counts(copy_path(folder / "feedback.db"))


def test_what_is_new_is_copied_soon_and_at_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "EVERY_SECONDS", 0.02)
    served = Served.open(Folder(folder))
    served.start()
    ann = Door(served).let_in("Ann")
    ann.answer(ann.tasks()[0])
    items = served.office.store.queries()[0].items
    served.office.store.enqueue([NewQuery("new", "comparison", items, 4, {})])
    until = time.monotonic() + 20
    while not (folder / "feedback.db.copy").exists() or held(folder) != (6, 1):
        assert time.monotonic() < until
        time.sleep(0.05)
    monkeypatch.setattr(copying, "EVERY_SECONDS", 60.0)
    time.sleep(0.05)
    ann.answer(ann.tasks()[0])
    served.close()
    assert held(folder) == (6, 2)


def test_a_copy_that_cannot_be_made_is_told_and_nothing_else_happens(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "feedback.db.copy.partial").mkdir()
    served = Served.open(Folder(folder))
    served.start()
    ann = Door(served).let_in("Ann")
    assert ann.answer(ann.tasks()[0]).status_code == 200
    served.close()
    assert "no copy of the store was made" in capsys.readouterr().err


def test_a_store_that_was_emptied_does_not_push_its_copy_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = Served.open(Folder(folder))
    served.start()
    served.close()
    assert held(folder) == (5, 0)
    (folder / "feedback.db.copy").write_bytes(b"nonsense" * 1000)
    served = Served.open(Folder(folder))
    served.start()
    served.close()
    assert held(folder) == (5, 0)  # a damaged one is made again
    (folder / "feedback.db").unlink()
    open_store(folder / "feedback.db").close()
    served = Served.open(Folder(folder))
    served.start()
    served.close()
    assert held(folder) == (5, 0)
    assert "it holds less than its copy; plaudit restore" in capsys.readouterr().err
