"""Copies of a store that is in use."""

from pathlib import Path

from plaudit.storage import backup
from plaudit.storage.database import open_database
from tests.storage.asking import ask


def test_a_copy_replaces_the_one_of_before_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "feedback.db"
    store = open_database(place).store
    for count in (1, 2):
        ask(store, f"q{count}")
        assert backup.copy(place) == backup.copy_path(place)
        copied = open_database(backup.copy_path(place)).store
        assert copied.queries() == store.queries() and len(copied.queries()) == count
        copied.close()
        assert backup.counts(backup.copy_path(place)) == (count, 0)
    store.close()
    assert not list(tmp_path.glob("*.partial*"))


def test_looking_into_a_copy_leaves_nothing_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "feedback.db"
    open_database(place).store.close()
    backup.copy(place)
    assert backup.counts(backup.copy_path(place)) == (0, 0)
    backup.copy(place)
    assert [file.name for file in tmp_path.glob("feedback.db.*")] == ["feedback.db.copy"]
