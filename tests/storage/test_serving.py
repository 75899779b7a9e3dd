"""Two servers on one store: the second refuses and says why, also where they share a database but no file."""

import subprocess
import sys
from pathlib import Path

import pytest

from plaudit.errors import PlauditError
from plaudit.storage.database import Database, open_database
from plaudit.storage.serving import only_server

HOLD = """
import sys, time
from pathlib import Path
from plaudit.storage.database import open_database
from plaudit.storage.serving import only_server
with only_server(open_database(sys.argv[1]).transactions, Path(sys.argv[2])) as note:
    note.write(address="http://127.0.0.1:1234", port=1234)
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_refused_with_the_reason(database: Database, tmp_path: Path) -> None:
    note = tmp_path / "server.json"
    with only_server(database.transactions, note) as held:
        held.write(address="http://127.0.0.1:8000", port=8000)
        with (
            pytest.raises(
                PlauditError, match=r"another server is serving it at http://127\.0\.0\.1:8000 \(process"
            ),
            only_server(database.transactions, note),
        ):
            pass
    with only_server(database.transactions, note) as again:
        assert again.before["port"] == 8000


def test_a_killed_server_lets_go(tmp_path: Path) -> None:
    path, note = tmp_path / "feedback.db", tmp_path / "server.json"
    process = subprocess.Popen([sys.executable, "-c", HOLD, path, note], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    database = open_database(path)
    with (
        pytest.raises(PlauditError, match=f"1234 .process {process.pid}"),
        only_server(database.transactions, note),
    ):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    with only_server(database.transactions, note) as held:
        assert held.before["port"] == 1234
    database.store.close()


def test_two_machines_on_one_postgres(postgres_address: str, tmp_path: Path) -> None:
    one, two = open_database(postgres_address), open_database(postgres_address)
    refusal = pytest.raises(PlauditError, match="this database: another server")
    with (
        only_server(one.transactions, tmp_path / "a"),
        refusal,
        only_server(two.transactions, tmp_path / "b"),
    ):
        pass
    with only_server(two.transactions, tmp_path / "b"):
        pass
    one.store.close()
    two.store.close()


def test_a_damaged_note_is_no_obstacle(database: Database, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("{")
    with only_server(database.transactions, tmp_path / "note") as held:
        assert held.before == {}
