"""Copies of a store in use: sound, of the newest state, and at no time fewer than before."""

import os
import sqlite3
import time
from pathlib import Path

import pytest

from plaudit.errors import PlauditError
from plaudit.storage import backups, sqlite_file
from plaudit.storage.office import Office, open_office
from plaudit.storage.serving import only_server
from tests.storage.asking import ask, claimed, reply


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """A store in a file."""
    return open_office(tmp_path / "feedback.db")


def keys(copy: Path) -> list[str]:
    """Of the questions in a copy, which stays as it is."""
    with sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True) as connection:
        found = [key for (key,) in connection.execute("SELECT key FROM queries ORDER BY id")]
    connection.close()
    return found


def settle(path: Path) -> None:
    """As if nobody had written for a while."""
    then = time.time() - 60
    for file in (path, path.with_name(f"{path.name}-wal")):
        os.utime(file, (then, then))


def test_the_newest_states_are_kept_while_the_store_is_open(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    assert backups.newest(path) is None
    for key in "abcd":
        ask(office.store, key)
        assert backups.back_up(path, apart=0.0)
    assert backups.newest(path) == backups.copies(path)[0]
    office.store.close()
    assert [keys(copy) for copy in backups.copies(path)] == [list("abcd"), list("abc"), list("ab")]
    assert sorted(p.name for p in tmp_path.glob("*new*")) == []


def test_copies_soon_after_one_another_push_no_older_one_out(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    ask(office.store, "a")
    backups.back_up(path)
    for key in "bcde":
        ask(office.store, key)
        backups.back_up(path, apart=0.0 if key == "b" else 60.0)
    newest, older, oldest = backups.copies(path)
    assert (keys(newest), keys(older), oldest.exists()) == (list("abcde"), ["a"], False)


def test_what_has_not_changed_is_not_copied_again(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    ask(office.store, "a")
    settle(path)
    assert backups.back_up(path)
    assert not backups.back_up(path, apart=0.0) and not backups.copies(path)[1].exists()


def test_half_a_copy_of_a_killed_process_is_in_nobodys_way(office: Office, tmp_path: Path) -> None:
    (tmp_path / "feedback.db.backup-new").write_bytes(b"half")
    assert backups.back_up(tmp_path / "feedback.db")
    sqlite_file.inspect(backups.copies(tmp_path / "feedback.db")[0])


def test_a_copy_that_cannot_be_written_leaves_the_ones_before(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "feedback.db"
    ask(office.store, "a")
    backups.back_up(path)

    def full(source: Path, target: Path) -> None:
        raise PlauditError(f"{target}: cannot write the backup: database or disk is full")

    monkeypatch.setattr(sqlite_file, "backup", full)
    ask(office.store, "b")
    with pytest.raises(PlauditError):
        backups.back_up(path)
    with backups.kept(path, 0.01):  # goes on trying, and hurts nobody
        time.sleep(0.05)
    assert keys(backups.copies(path)[0]) == ["a"]


def test_a_server_copies_at_once_and_then_now_and_then(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    ask(office.store, "a")
    with only_server(office.session, tmp_path / "server.json"):
        until = time.monotonic() + 30
        while not backups.copies(path)[0].exists() and time.monotonic() < until:
            time.sleep(0.01)
    assert keys(backups.copies(path)[0]) == ["a"]
    with backups.kept(path, 0.02):
        ask(office.store, "b")
        until = time.monotonic() + 30
        while keys(backups.copies(path)[0]) == ["a"] and time.monotonic() < until:
            time.sleep(0.02)
    assert keys(backups.copies(path)[0]) == ["a", "b"]


def test_forgotten_leases_refuse_nobody(office: Office) -> None:
    ask(office.store, "a")
    mine = office.store.claim("ann", 900.0, 0.0)
    assert mine is not None and office.store.claim("bob", 900.0, 1.0) is None
    backups.forget_leases(office.session)
    theirs = claimed(office.store, "bob", 1.0)
    office.store.submit(reply(theirs, "bob", "u"), now=2.0)
    with sqlite3.connect(office.session.name) as connection:
        assert connection.execute("SELECT holder FROM slots").fetchall() == [("bob",)]
    connection.close()
