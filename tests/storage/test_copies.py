"""Copies of a store that is in use."""

from pathlib import Path

from plaudit.storage import copies
from plaudit.storage.office import open_office
from tests.storage.asking import ask


def test_a_copy_replaces_the_one_of_before_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "feedback.db"
    store = open_office(place).store
    for count in (1, 2):
        ask(store, f"q{count}")
        assert copies.copy(place) == copies.copy_path(place)
        copied = open_office(copies.copy_path(place)).store
        assert copied.queries() == store.queries() and len(copied.queries()) == count
        copied.close()
        assert copies.counts(copies.copy_path(place)) == (count, 0)
    store.close()
    assert not list(tmp_path.glob("*.partial*"))


def test_looking_into_a_copy_leaves_nothing_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "feedback.db"
    open_office(place).store.close()
    copies.copy(place)
    assert copies.counts(copies.copy_path(place)) == (0, 0)
    copies.copy(place)
    assert [file.name for file in tmp_path.glob("feedback.db.*")] == ["feedback.db.copy"]
