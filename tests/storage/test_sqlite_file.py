"""A SQLite store as a file: its settings, what is refused, backups, migrations, a full disk."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plaudit.errors import PlauditError
from plaudit.storage import Artifacts, DiskFull, database, open_store, sqlite_file
from plaudit.storage.database import SqlStore
from plaudit.storage.tables import INSERT_ONLY
from tests.storage.asking import ask, claimed, question, reply


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one answer and one open question, closed."""
    path = tmp_path / "feedback.db"
    store = open_store(path)
    ask(store, "a", "b")
    store.submit(reply(claimed(store, "ann"), "ann", "u1"), now=5)
    store.pin_cursor("trainer", 0)
    store.command("pause", {})
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO repeats VALUES (1, 1, 'ann', 0)")
    connection.commit()
    connection.close()
    return path


def test_durable_and_strict_on_every_connection(path: Path) -> None:
    engine, name = database.open_engine(path)
    assert name == str(path)
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10000}
    engine.dispose()


def test_writers_begin_immediately(path: Path) -> None:
    """With the driver's deferred begin two writers that first read would both go on, and one would fail."""
    store = open_store(path)
    assert isinstance(store, SqlStore)
    other = sqlite3.connect(path, timeout=0, isolation_level=None)

    def action(connection: object) -> str:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        return "held the lock before the first statement"

    assert store._do.write(action).startswith("held")
    store._do.read(lambda connection: other.execute("BEGIN IMMEDIATE"))
    other.close()
    store.close()


@pytest.mark.parametrize("table", INSERT_ONLY)
def test_what_is_stored_can_be_neither_changed_nor_deleted(path: Path, table: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    column = connection.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchone()[0]
    before = connection.execute(f"SELECT * FROM {table}").fetchall()
    assert before
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
        with pytest.raises(sqlite3.IntegrityError, match="insert-only"):
            connection.execute(statement)
    assert connection.execute(f"SELECT * FROM {table}").fetchall() == before
    connection.close()


def test_an_annotator_with_answers_cannot_be_deleted(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys=ON")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute("DELETE FROM annotators")
    connection.close()


def test_the_seed_is_kept(tmp_path: Path) -> None:
    def orders(name: str, seed: int) -> list[tuple[int, ...]]:
        store = open_store(tmp_path / name, seed)
        ids = ask(store, *map(str, range(16)))
        shown = [store.claim("ann", 60, 0, ids[:i]).shown_order for i in range(16)]
        store.close()
        return shown

    first = orders("one", 1)
    assert orders("one", 2) == first == orders("other", 1)
    assert orders("third", 2) != first


# ---------------------------------------------------------------------------------------------- refusals


def test_a_file_that_is_no_database_is_refused_and_left(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 1000)
    with pytest.raises(PlauditError, match="not a SQLite file"):
        open_store(path)
    assert path.read_text() == "my notes " * 1000


def test_another_programs_database_is_refused_and_left(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photos (id)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(PlauditError, match="another program"):
        open_store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("how", ["cut", "overwritten"])
def test_a_damaged_file_is_refused(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2 // 4096 * 4096]
    else:
        content[4096 : 4096 * 6] = os.urandom(4096 * 5)
    path.write_bytes(content)
    with pytest.raises(PlauditError, match=r"damaged.*\.recover"):
        open_store(path)
    assert path.read_bytes() == bytes(content)


def test_places_where_nothing_can_be_stored(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="folder"):
        open_store(tmp_path)
    with pytest.raises(PlauditError, match="no folder"):
        open_store(tmp_path / "missing" / "feedback.db")
    for address in ("mysql://x/y", "sqlite://", "sqlite:///:memory:", "postgresql://[", "http://x"):
        with pytest.raises(PlauditError):
            open_store(address)


def test_an_empty_file_becomes_a_store_and_odd_names_work(tmp_path: Path) -> None:
    path = tmp_path / "odd ?name#%20 é.db"
    path.touch()
    store = open_store(path)
    ask(store, "a")
    store.close()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    again = open_store(f"sqlite:///{tmp_path}/plain.db")
    again.close()
    assert (tmp_path / "plain.db").exists()


def test_without_the_database_toolkit_the_error_names_the_extra(path: Path) -> None:
    program = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from plaudit.storage import open_store\n"
        "open_store('memory:').pending()\n"
        f"open_store({str(path)!r})"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "PlauditError" in result.stderr and "plaudit[store]" in result.stderr


def test_a_network_file_system_is_warned_about(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/home {tmp_path} nfs4 rw 0 0\n")
    (tmp_path / "run").mkdir()
    with pytest.warns(UserWarning, match="nfs4"):
        sqlite_file.warn_of_network(tmp_path / "run" / "feedback.db", mounts)
    mounts.write_text("/dev/sda / ext4 rw 0 0\n")
    sqlite_file.warn_of_network(tmp_path / "run" / "feedback.db", mounts)


# ---------------------------------------------------------------------------------------------- backups


def test_a_backup_of_a_store_in_use_opens_with_everything(path: Path, tmp_path: Path) -> None:
    store = open_store(path)
    store.submit(reply(claimed(store, "bob"), "bob", "u2"))  # still in the write-ahead log
    copy = tmp_path / "copy.db"
    sqlite_file.backup(path, copy)
    restored = open_store(copy)
    assert restored.answers() == store.answers()
    assert [r.client_uuid for r in restored.answers()] == ["u1", "u2"]
    restored.close()
    store.close()
    with pytest.raises(PlauditError, match="never overwrites"):
        sqlite_file.backup(path, copy)


# ---------------------------------------------------------------------------------------------- full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True
    )
    if mount.returncode != 0:
        pytest.skip("cannot mount a small file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(ballast: Path) -> None:
    handle = os.open(ballast, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    with pytest.raises(OSError, match="space"):
        while True:
            os.write(handle, b"x" * 512)
    os.close(handle)


def test_a_full_disk_is_said_and_loses_nothing(small_disk: Path) -> None:
    path = small_disk / "feedback.db"
    store = open_store(path)
    stored: list[str] = []
    ask(store, *map(str, range(20)))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(128 * 1024))
    with pytest.raises(DiskFull, match="disk is full"):
        for i in range(10_000):
            big = question(f"big {i}")
            big.payload["text"] = "x" * 20_000
            store.enqueue([big])
    _fill(ballast)
    held = None
    with pytest.raises(DiskFull):
        for i in range(10_000):
            held = store.claim("ann", 600)
            assert held is not None
            store.submit(reply(held, "ann", f"u{i}"))
            stored.append(f"u{i}")
    assert [r.client_uuid for r in store.answers()] == stored
    ballast.unlink()
    query = claimed(store, "ann")
    store.submit(reply(query, "ann", "after"))
    store.close()
    store = open_store(path)
    assert [r.client_uuid for r in store.answers()] == [*stored, "after"]
    store.close()


def test_a_store_cannot_be_made_on_a_full_disk(small_disk: Path) -> None:
    _fill(small_disk / "ballast")
    with pytest.raises(PlauditError):
        open_store(small_disk / "feedback.db")


def test_artifacts_on_a_full_disk(small_disk: Path) -> None:
    artifacts = Artifacts(small_disk / "artifacts")
    kept = artifacts.put(b"kept")
    with pytest.raises(DiskFull):
        artifacts.put(bytes(2_000_000))
    assert artifacts.get(kept) == b"kept"
    left = [file for file in (small_disk / "artifacts").rglob("*") if file.is_file()]
    assert [file.name for file in left] == [kept]
