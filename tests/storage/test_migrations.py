"""Stores of older versions: what their questions were for is known by their keys, and nothing else changes."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.storage import database, migrations, open_store
from plaudit.storage.migrations import SCRIPTS, VERSIONS, migrate
from plaudit.storage.sqlite_file import APPLICATION_ID
from plaudit.storage.store import NewResponse
from plaudit.storage.tables import metadata
from tests.storage.asking import ask, claimed, reply


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one answer and one open question, closed."""
    path = tmp_path / "feedback.db"
    store = open_store(path)
    ask(store, "a", "b")
    store.submit(reply(claimed(store, "ann"), "ann", "u1"), now=5)
    store.close()
    return path


def test_the_migrations_make_the_tables_of_this_version(path: Path) -> None:
    """Column by column, key by key: what migrations made is what `tables.py` says."""
    fresh = create_engine("sqlite://")
    metadata.create_all(fresh)
    migrated = create_engine(f"sqlite:///{path}")

    def shape(engine: object) -> dict[str, object]:
        found = inspect(engine)
        return {
            table: (
                [
                    (c["name"], str(c["type"]), c["nullable"], c["primary_key"])
                    for c in found.get_columns(table)
                ],
                sorted((k["name"], str(k)) for k in found.get_foreign_keys(table)),
                sorted((k["name"], k["column_names"]) for k in found.get_unique_constraints(table)),
                sorted((k["name"], k["column_names"], k["unique"]) for k in found.get_indexes(table)),
            )
            for table in metadata.tables
        }

    assert shape(migrated) == shape(fresh)
    assert set(inspect(migrated).get_table_names()) - set(metadata.tables) == {migrations.VERSION_TABLE}


def test_the_versions_are_those_of_the_scripts() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == VERSIONS


def test_a_store_of_a_newer_version_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(PlauditError, match="newer plaudit"):
        open_store(path)


NEXT = '''
"""A column more."""
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "NEXT", "LAST", None, None
def upgrade():
    op.add_column("commands", sa.Column("author", sa.Text))
    FAIL
'''.replace("LAST", VERSIONS[-1])


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plaudit whose tables have one version more; the script of that version."""
    scripts = tmp_path / "migrations"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(
        database,
        "migrate",
        lambda engine, name, before: migrations.migrate(engine, name, before, (*VERSIONS, "NEXT"), scripts),
    )
    return scripts / "versions" / "vnext_author.py"


def test_an_older_file_is_backed_up_and_migrated(path: Path, newer: Path) -> None:
    newer.write_text(NEXT.replace("FAIL", ""))
    (path.parent / f"{path.name}.version-{VERSIONS[-1]}").write_text("a backup of before")
    store = open_store(path)
    assert [r.client_uuid for r in store.answers()] == ["u1"]
    store.close()
    columns = sqlite3.connect(path).execute("SELECT name FROM pragma_table_info('commands')").fetchall()
    assert ("author",) in columns
    assert (path.parent / f"{path.name}.version-{VERSIONS[-1]}").read_text() == "a backup of before"
    copy = sqlite3.connect(path.parent / f"{path.name}.version-{VERSIONS[-1]}-2")
    assert copy.execute(f"SELECT version_num FROM {migrations.VERSION_TABLE}").fetchone() == VERSIONS[-1:]
    assert copy.execute("SELECT client_uuid FROM responses").fetchall() == [("u1",)]
    copy.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path, newer: Path) -> None:
    newer.write_text(NEXT.replace("FAIL", "op.execute('SELECT * FROM no_such_table')"))
    with pytest.raises(PlauditError, match="no_such_table"):
        open_store(path)
    connection = sqlite3.connect(path)
    assert (
        connection.execute(f"SELECT version_num FROM {migrations.VERSION_TABLE}").fetchone() == VERSIONS[-1:]
    )
    assert ("author",) not in connection.execute("SELECT name FROM pragma_table_info('commands')").fetchall()
    connection.close()


# ---------------------------------------------------------------------------------------------- purpose


KEYS = {
    "0/1/2": "train",
    "item/abc": "train",
    "held-out/10/3": "held_out",
    "held-out": "train",
    "my/held-out/10/3": "train",
    "repeat/Ann/0": "repeat",
    "repeated/Ann/0": "train",
    "Held-Out/1/1": "train",
}
"""What questions were for, by their keys, until they said so."""


def make_old(engine: Engine) -> None:
    """The tables of the version before, empty."""

    def mark(connection: Connection, old: str | None) -> None:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")

    migrate(engine, "old", mark, VERSIONS[: VERSIONS.index("0003")])


@pytest.fixture(params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Engine]]:
    """A store of the version before, with questions and an answer to each: its address, and an engine on it."""
    if request.param == "sqlite":
        address = str(tmp_path / "old.db")
        engine = create_engine(f"sqlite:///{address}")
    else:
        address = request.getfixturevalue("postgres_address")
        engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    make_old(engine)
    said = json.dumps({"answer": "first", "kind": "comparison", "options": ["a", "b"]})
    rows = [{"id": id, "key": key, "said": said, "items": '["a","b"]'} for id, key in enumerate(KEYS, 1)]
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO annotators VALUES ('ann')"))
        for statement in (
            "INSERT INTO queries (key, kind, items, tick, payload, wanted)"
            " VALUES (:key, 'comparison', :items, :id, '{}', 2)",
            "INSERT INTO responses (seq, client_uuid, query_id, annotator, feedback, shown_order, received_at, sha256)"
            " VALUES (:id, :key, :id, 'ann', :said, '[0,1]', 1, 'x')",
            "INSERT INTO slots (query_id, holder, lease_until, response_id) VALUES (:id, 'ann', 0, :id)",
            "INSERT INTO slots (query_id) VALUES (:id)",
        ):
            connection.execute(text(statement), rows)
    yield address, engine
    engine.dispose()


def test_what_questions_of_before_were_for_is_taken_from_their_keys(old: tuple[str, Engine]) -> None:
    address, engine = old
    with engine.connect() as connection:
        before = connection.execute(text("SELECT * FROM queries ORDER BY id")).all()
        answers = connection.execute(text("SELECT * FROM responses ORDER BY id")).all()
    store = open_store(address)
    assert {query.key: query.purpose for query in store.queries()} == KEYS
    assert len(store.view(99)) == len(KEYS) and store.pending() == len(KEYS)
    with engine.connect() as connection:
        after = connection.execute(text("SELECT * FROM queries ORDER BY id")).all()
        assert connection.execute(text("SELECT * FROM responses ORDER BY id")).all() == answers
    assert [tuple(row)[:-1] for row in after] == [tuple(row) for row in before]
    new = ask(store, "new")[0]
    assert (
        store.submit(NewResponse("n", new, "bob", Comparison(("new-a", "new-b"), "skip"), ())).seq
        == len(KEYS) + 1
    )
    store.close()


def test_what_is_stored_can_still_not_be_changed(old: tuple[str, Engine]) -> None:
    address, engine = old
    open_store(address).close()
    for statement in ("UPDATE queries SET purpose = 'train'", "DELETE FROM queries"):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="insert-only"):
            connection.execute(text(statement))


def test_a_file_of_the_version_before_is_kept_beside_it(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    make_old(engine)
    engine.dispose()
    open_store(tmp_path / "old.db").close()
    kept = sqlite3.connect(tmp_path / "old.db.version-0002")
    assert "purpose" not in [row[1] for row in kept.execute("PRAGMA table_info(queries)")]
    kept.close()
