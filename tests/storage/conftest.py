"""Stores of every make, each empty at the start of a test."""

import itertools
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plaudit.storage import Store, open_store
from plaudit.storage.database import Database, open_database
from tests.storage.asking import Place

POSTGRES_FOLDERS = ("/usr/lib/postgresql/15/bin", "/usr/local/bin", "/usr/bin")

SECONDS = 60


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty store of each make."""
    opened: list[Store] = []
    if request.param == "memory":
        address, only = "memory:", open_store("memory:")
        place = Place("memory", address, lambda: only)
    else:
        sqlite = request.param == "sqlite"
        address = str(tmp_path / "feedback.db") if sqlite else request.getfixturevalue("postgres_address")

        def _open() -> Store:
            opened.append(open_store(address))
            return opened[-1]

        place = Place(request.param, address, _open)
    yield place
    for store in opened:
        store.close()


@pytest.fixture
def store(place: Place) -> Store:
    """An empty store of each make, open."""
    return place.open()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """What a server opens, on an empty database of each make."""
    sqlite = request.param == "sqlite"
    database = open_database(
        tmp_path / "feedback.db" if sqlite else request.getfixturevalue("postgres_address"), 3
    )
    yield database
    database.store.close()


@pytest.fixture
def postgres_address(postgres_server: str) -> str:
    """A fresh schema of its own on the private server."""
    psycopg = pytest.importorskip("psycopg")
    schema = f"t{next(_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"{postgres_server}&options=-csearch_path%3D{schema}"


_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A private server on a unix socket in a folder of its own, as somebody other than root."""
    binaries = next((Path(f) for f in POSTGRES_FOLDERS if (Path(f) / "initdb").exists()), None)
    if binaries is None:
        pytest.skip("no Postgres here: initdb is in none of " + ", ".join(POSTGRES_FOLDERS))
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the path of a socket may have 107 characters
    run_as: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if os.geteuid() == 0:
        user = pwd.getpwnam(_user())
        os.chown(folder, user.pw_uid, -1)
        run_as |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data = folder / "data"
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "tester", "-A", "trust", "--no-sync"]
    pg_ctl = [str(binaries / "pg_ctl"), "-D", str(data), "-w", "-t", "30"]
    # The guard waits for the end of its input, which comes with ours however we end, and then stops the server.
    stop = shlex.join([*pg_ctl, "-m", "immediate", "stop"])
    guard = subprocess.Popen(
        ["sh", "-c", f"cat; {stop}; cd /; rm -rf {folder}"],
        stdin=subprocess.PIPE,
        start_new_session=True,
        **run_as,
    )
    try:
        subprocess.run([*initdb, "-E", "UTF8", "--no-locale"], check=True, timeout=SECONDS, **run_as)
        start = [*pg_ctl, "-o", options, "-l", str(folder / "log"), "start"]
        subprocess.run(start, check=True, timeout=SECONDS, **run_as)
        yield f"postgresql://tester@/postgres?host={folder}"
    finally:
        guard.communicate(timeout=SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> str:
    """Postgres refuses to run as root."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in ("postgres", "nobody") if name in names), None)
    if user is None:
        pytest.skip("Postgres refuses to run as root, and there is neither a user postgres nor nobody")
    return user
