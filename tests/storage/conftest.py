"""Stores of every make, each empty at the start of a test."""

import getpass
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from plaudit.storage import Store, open_store
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
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the path of a socket may have 107 characters
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    data = folder / "data"

    def _run(*command: str) -> None:
        run_as = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
        subprocess.run(
            [str(binaries / command[0]), *command[1:]],
            check=True,
            timeout=SECONDS,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **(run_as if os.geteuid() == 0 else {}),
        )

    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
    try:
        _run(
            "initdb", "-D", str(data), "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8", "--no-locale"
        )
        _run("pg_ctl", "-D", str(data), "-w", "-t", "30", "-o", options, "-l", str(folder / "log"), "start")
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            _run("pg_ctl", "-D", str(data), "-w", "-t", "30", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> str:
    """Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return getpass.getuser()
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in ("postgres", "nobody") if name in names), None)
    if user is None:
        pytest.skip("Postgres refuses to run as root, and there is neither a user postgres nor nobody")
    return user
