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
    store.close()
    assert sorted(file.name for file in tmp_path.iterdir() if "-" not in file.name) == [
        "feedback.db",
        "feedback.db.copy",
    ]
