"""Searches of the queue go by indexes: none looks at old answers, whatever the database knows of its rows."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from plaudit.storage import open_store
from plaudit.storage.database import LEAST, Database, open_database
from plaudit.storage.sql_queue import BLOCK
from plaudit.storage.store import NewQuery
from tests.storage.test_label_queue import answer

ANSWERS = 10_000
"""Old answers, enough for an index to be better than a scan."""

SLOW = {
    "sqlite": re.compile(
        r"SCAN (?!CONSTANT|\(sub|slots? USING (COVERING )?INDEX (open|held)_slots)"
        r"|SEARCH responses USING (COVERING )?INDEX sqlite_autoindex_responses_3"
    ),
    "postgresql": re.compile(r"Seq Scan on (responses|slots|queries|showings)"),
}
"""A scan of anything but the open slots; SQLite: or a search of all that supersede nothing, which nearly all rows do."""


def fill(connection: Connection, first: int, last: int) -> None:
    """Answered questions with these ids, in turn by two people."""
    rows = [
        {
            "id": id,
            "key": f"old{id}",
            "items": json.dumps([f"a{id}", f"b{id}"]),
            "who": ("ann", "bob")[id % 2],
            "place": id // 2,
            "said": json.dumps({"kind": "comparison", "options": [f"a{id}", f"b{id}"], "answer": "skip"}),
        }
        for id in range(first, last + 1)
    ]
    for statement in (
        "INSERT INTO annotators VALUES (:who) ON CONFLICT DO NOTHING",
        "INSERT INTO queries (key, kind, items, tick, payload, wanted)"
        " VALUES (:key, 'comparison', :items, 0, '{}', 1)",
        "INSERT INTO showings (query_id, annotator, options, position, shown_order)"
        " VALUES (:id, :who, 2, :place, '[0,1]')",
        "INSERT INTO responses (seq, client_uuid, query_id, annotator, feedback, shown_order, received_at, sha256)"
        " VALUES (:id, :key, :id, :who, :said, '[0,1]', 0, '')",
        "INSERT INTO slots (query_id, holder, lease_until, response_id) VALUES (:id, :who, 0, :id)",
    ):
        connection.execute(text(statement), rows)


def analyze(database: Database) -> None:
    """Let the database take note of how many rows there are, as Postgres does by itself after a while."""
    engine = database.transactions.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("VACUUM"))
        connection.execute(text("ANALYZE"))


@pytest.fixture(params=["sqlite", "sqlite that knows nothing", "sqlite that knew few", "postgres"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A store with old answers, and with statistics of all of them but where it says otherwise."""
    postgres = request.param == "postgres"
    address = request.getfixturevalue("postgres_address") if postgres else tmp_path / "feedback.db"
    database = open_database(address)
    if request.param == "sqlite that knew few":
        database.transactions.write(lambda c: fill(c, 1, LEAST))
        analyze(database)
        database.transactions.write(lambda c: fill(c, LEAST + 1, ANSWERS))
    else:
        database.transactions.write(lambda c: fill(c, 1, ANSWERS))
    if request.param in ("sqlite", "postgres"):
        analyze(database)
    if not postgres:
        database.transactions.engine.dispose()  # connections read statistics when they are made
    yield database
    database.store.close()


class Plans:
    """The plans of the statements that run meanwhile."""

    def __init__(self, database: Database):
        self.found: dict[str, list[str]] = {}
        engine = database.transactions.engine
        self.explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        event.listen(engine, "before_cursor_execute", self.look)

    def look(self, _: Any, cursor: Any, statement: str, values: Any, *more: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE")) and "pg_" not in statement:
            other = cursor.connection.cursor()
            other.execute(f"{self.explain} {statement}", values)
            self.found[statement] = [str(row[-1]) for row in other.fetchall()]


def work(database: Database) -> None:
    """What a served person and a simulated one do, until something is asked again."""
    database.store.enqueue([NewQuery(f"new{i}", "comparison", (f"x{i}", f"y{i}"), 1, {}) for i in range(60)])
    for number in range(2 * BLOCK):
        (query,) = database.queue.claim("ann", 1, 60)
        database.queue.submit(answer(query, "ann", f"n{number}"))
    assert database.queue.may_get("ann")
    assert len(database.queue.latest("ann", 5)) == 5
    database.queue.waiting()
    assert database.store.claim("bob", 60, 0) is not None
    assert 0 < database.store.pending() < 30
    assert len(database.store.answers(ANSWERS + 2 * BLOCK - 3)) == 3
    assert database.store.count_answers() == ANSWERS + 2 * BLOCK
    assert len(database.store.queries(after=ANSWERS + 55)) >= 5


@pytest.mark.slow
def test_no_step_looks_at_old_answers(filled: Database) -> None:
    plans = Plans(filled)
    work(filled)
    event.remove(filled.transactions.engine, "before_cursor_execute", plans.look)
    assert filled.queue.repeats()
    pattern = SLOW[filled.transactions.engine.dialect.name]
    slow = {statement: plan for statement, plan in plans.found.items() if any(map(pattern.search, plan))}
    assert not slow
    assert len(plans.found) > 15  # the statements were seen


@pytest.mark.slow
def test_statistics_are_kept_where_there_are_ten_times_as_many_rows(tmp_path: Path) -> None:
    def counted() -> int:
        connection = sqlite3.connect(tmp_path / "feedback.db")
        try:
            stats = connection.execute("SELECT stat FROM sqlite_stat1 WHERE tbl = 'slots'").fetchall()
        except sqlite3.OperationalError:
            return 0  # there is no such table yet
        finally:
            connection.close()
        return max(int(stat.split()[0]) for (stat,) in stats)

    def grow(first: int, last: int) -> None:
        store = open_store(tmp_path / "feedback.db")
        store.enqueue([NewQuery(str(i), "binary", ("x",), 0, {}) for i in range(first, last)])
        store.close()

    grow(0, LEAST - 1)
    grow(LEAST - 1, LEAST)  # one less when it was opened
    assert counted() == 0
    grow(LEAST, 5 * LEAST)
    few = counted()  # by a sample
    assert LEAST / 2 < few < 2 * LEAST
    grow(5 * LEAST, 21 * LEAST)
    assert counted() == few
    open_store(tmp_path / "feedback.db").close()
    assert 10 * LEAST < counted() < 42 * LEAST
