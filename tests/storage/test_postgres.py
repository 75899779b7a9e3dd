"""What only Postgres can get wrong: transactions that commit out of order, rows that others hold."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from plaudit.errors import PlauditError
from plaudit.storage import migrations, open_store, queue
from plaudit.storage.database import SqlStore
from plaudit.storage.queue import Claim
from plaudit.storage.sql_queue import SqlQueueRows
from plaudit.storage.tables import INSERT_ONLY, metadata
from tests.storage.asking import ask, claimed, reply


@pytest.fixture
def store(postgres_address: str) -> Iterator[SqlStore]:
    """An empty store."""
    store = open_store(postgres_address)
    assert isinstance(store, SqlStore)
    yield store
    store.close()


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_numbers_appear_in_order_whoever_commits_first(store: SqlStore, end: str) -> None:
    """The second submission waits for the first to end: below a bound nothing can appear later."""
    ask(store, "a", "b")
    slow, quick = claimed(store, "ann"), claimed(store, "bob")
    receipts = []
    with store._do.engine.connect() as connection:
        queue.submit(SqlQueueRows(connection), reply(slow, "ann", "slow"), 0.0)
        thread = threading.Thread(target=lambda: receipts.append(store.submit(reply(quick, "bob", "quick"))))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert store.pin_cursor("trainer", 0) == 0
        assert store.view(100) == []
        getattr(connection, end)()
    thread.join(30)
    expected = ["slow", "quick"] if end == "commit" else ["quick"]
    assert [(r.seq, r.client_uuid) for r in store.answers()] == list(enumerate(expected, 1))
    assert receipts[0].seq == len(expected)


def test_a_claim_passes_over_what_another_is_claiming_now(store: SqlStore) -> None:
    a, b = ask(store, "a", "b")
    with store._do.engine.connect() as connection:
        query = queue.claim(SqlQueueRows(connection), 0, Claim("ann", 60.0, 0.0))
        assert query is not None and query.id == a
        assert claimed(store, "bob").id == b
        assert store.claim("eve", 60, 0) is None
        connection.rollback()
    assert claimed(store, "eve").id == a


@pytest.mark.parametrize("act", ["claim", "submit"])
def test_a_holder_waits_for_a_claim_that_came_too_late(store: SqlStore, act: str) -> None:
    """A claim that lost a slot in the last moment keeps it locked until it commits; that is not a lease."""
    ask(store, "a", "b")
    mine = claimed(store, "ann")
    results = []

    def again() -> None:
        results.append(
            claimed(store, "ann") if act == "claim" else store.submit(reply(mine, "ann", "u1"), now=0)
        )

    with store._do.engine.connect() as connection:
        connection.execute(text("SELECT id FROM slots WHERE holder = 'ann' FOR UPDATE"))
        thread = threading.Thread(target=again)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        connection.rollback()
    thread.join(30)
    assert len(results) == 1
    assert act == "submit" or results == [mine]
    assert [r.query_id for r in store.answers()] == ([] if act == "claim" else [mine.id])


@pytest.mark.parametrize("table", INSERT_ONLY)
def test_what_is_stored_can_be_neither_changed_nor_deleted(store: SqlStore, table: str) -> None:
    column = next(iter(metadata.tables[table].columns)).name
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"TRUNCATE {table} CASCADE",
    ):
        with store._do.engine.connect() as connection, pytest.raises(DBAPIError, match="insert-only"):
            connection.execute(text(statement))


def test_the_migrations_make_the_tables_of_this_version(store: SqlStore, postgres_server: str) -> None:
    found = inspect(store._do.engine)
    assert set(found.get_table_names()) == {*metadata.tables, migrations.VERSION_TABLE}
    with store._do.engine.connect() as connection:
        connection.execute(text("CREATE SCHEMA plain"))
        connection.execute(text("SET search_path TO plain"))
        metadata.create_all(connection)
        fresh = inspect(connection)
        for table in metadata.tables:
            for part in ("get_columns", "get_foreign_keys", "get_unique_constraints", "get_indexes"):
                ours = [_plain(row) for row in getattr(found, part)(table)]
                theirs = [_plain(row) for row in getattr(fresh, part)(table, schema="plain")]
                assert sorted(ours) == sorted(theirs), (table, part)
        connection.rollback()


def _plain(row: dict) -> str:
    """What matters of a column, key or index, without the name of the schema."""
    return str(
        {k: str(v) for k, v in sorted(row.items()) if k not in ("default", "comment", "referred_schema")}
    )


def test_a_server_that_is_not_there_is_one_clear_sentence() -> None:
    with pytest.raises(PlauditError, match=r"postgresql\+psycopg://ann:\*\*\*@.*connection failed") as caught:
        open_store("postgresql://ann:secret@127.0.0.1:1/nowhere")
    assert "secret" not in str(caught.value)


def test_a_restart_of_the_server_is_survived(store: SqlStore) -> None:
    """Connections that the server cut are replaced; at worst one call fails with a clear sentence."""
    ask(store, "a")
    with store._do.engine.connect() as connection:
        others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = current_user"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) {others}"))
    assert store.pending() == 1
    assert claimed(store, "ann").key == "a"
