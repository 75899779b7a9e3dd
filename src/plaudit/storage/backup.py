"""Copies of a store in a SQLite file, and a store made again from one of them.

A copy is whole or absent. Questions and answers that came after it lie in questions.jsonl and responses.jsonl, which
are written behind every commit; they come back too.
"""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from sqlalchemy import Connection, func, insert, select

from plaudit.errors import PlauditError
from plaudit.feedback import from_json
from plaudit.storage import queue, sqlite_file, wire
from plaudit.storage.artifacts import sync_folder
from plaudit.storage.database import add_queries, open_engine
from plaudit.storage.sql_queue import FILL, LAST_SEQ, SqlQueueRows, give_repeat
from plaudit.storage.store import LARGEST, NewQuery, NewResponse, Purpose
from plaudit.storage.tables import (
    keep_setting,
    queries,
    repeats,
    responses,
    row_of_query,
    row_of_response,
    slots,
)
from plaudit.storage.transactions import Transactions

QUESTIONS, RESPONSES = "questions.jsonl", "responses.jsonl"
"""Every question and every answer once more, beside the store: the feedback log."""
BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside a file that is open."""


@dataclass(frozen=True)
class Restored:
    """What a store holds again."""

    copied: int
    """Answers that the copy held."""
    added: int
    """Answers that came after it."""
    left: int
    """Answers of the feedback log whose questions neither the copy nor the log knows, and those after them."""
    aside: Path | None
    """Where the file of before is now."""
    kept: Path | None = None
    """Where the answers are that are left."""


Row = dict[str, Any]
Placed = Iterable[tuple[str, Row]]
"""Rows of a file, each with its place."""


@dataclass(frozen=True)
class LoggedFeedback:
    """The feedback log: the lists beside a store."""

    questions: Placed
    answers: Placed


class Changes:
    """Whether anybody wrote to a store: answers, questions, people who came or were let go."""

    def __init__(self, store: Path):
        self.store = store
        self._connection: sqlite3.Connection | None = None

    def version(self) -> int:
        """Another number than before wherever anybody wrote meanwhile (sqlite.org/pragma.html, data_version)."""
        if self._connection is None:
            self._connection = sqlite_file.connect(self.store, "ro")
        return self._connection.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()


def copy_path(store: Path) -> Path:
    """Where the copy of a store lies: beside it."""
    return store.with_name(store.name + ".copy")


def refuse_lost(store: Path) -> None:
    """A store that is gone must not be begun anew beside what is left of it: PlauditError says how it comes back."""
    left = [file for file in (copy_path(store), store.with_name(RESPONSES)) if file.exists()]
    if left and not store.exists():
        raise PlauditError(
            f"{store} is gone, and {left[0].name} is still there; put it back: plaudit restore {store.parent}, "
            "or move that away too to begin anew"
        )


def identity(place: Path) -> str | None:
    """What tells a store, and its copies, from every other one; None: it has no name yet, or is gone or damaged."""
    try:
        return _identity(place) if place.exists() else None
    except sqlite3.DatabaseError:
        return None


def counts(place: Path) -> tuple[int, int]:
    """How many questions a store or a copy holds, and how many answers; none of either where it is gone or damaged."""
    if not place.exists():
        return 0, 0
    connection = sqlite_file.connect(place, "ro")
    try:
        found = connection.execute("SELECT (SELECT count(*) FROM queries), (SELECT count(*) FROM responses)")
        asked, answered = found.fetchone()
    except sqlite3.DatabaseError:
        return 0, 0
    finally:
        connection.close()
    return asked, answered


def copy(store: Path) -> Path:
    """Copy a store that may be in use, in place of the copy of before; returns its path.

    PlauditError for a store that is damaged; the copy of before stays.
    """
    target = copy_path(store)
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    sqlite_file.backup(store, partial)
    with closing(sqlite_file.connect(partial, "rw")) as connection:
        # a copy is one file, also while somebody looks into it
        connection.execute("PRAGMA journal_mode=DELETE")
    sqlite_file.inspect(partial)  # a store that was damaged meanwhile must not push a sound copy out
    for end in BESIDE:  # of somebody who had the copy of before open: it does not belong to this one
        target.with_name(target.name + end).unlink(missing_ok=True)
    _swap(partial, target)
    return target


def restore(store: Path, source: Path, log: LoggedFeedback) -> Restored:
    """Put a copy in the place of a store that is lost or damaged, and add what came after it by the lists beside it.

    The file of before is kept, under another name. Answers get the numbers they had, so that receipts stay good.
    Raises PlauditError for a copy that is missing or damaged and for a line of the log that is.
    """
    _check_source(store, source)
    made = store.with_name(store.name + ".restored")
    for end in ("", *BESIDE):
        made.with_name(made.name + end).unlink(missing_ok=True)
    sqlite_file.backup(source, made)
    transactions = Transactions(*open_engine(made))
    try:
        copied, added, left = transactions.write(lambda connection: _catch_up(connection, log))
    finally:
        transactions.engine.dispose()  # the last connection to a file empties its write-ahead log into it
    aside = put_aside(store)
    _swap(made, store)
    return Restored(copied, added, left, aside)


def _check_source(store: Path, source: Path) -> None:
    """Refuse what is no copy of this store."""
    if not source.exists():
        raise PlauditError(f"{source}: there is no such copy; give the path of one (--copy)")
    sqlite_file.inspect(source)
    try:
        whose = _identity(source)
    except sqlite3.DatabaseError:  # an empty file
        raise PlauditError(f"{source}: no store is in this file; give the path of a copy (--copy)") from None
    own = identity(store)  # where it is damaged it says nothing
    if own is not None and whose is not None and own != whose:
        raise PlauditError(
            f"{source} is a copy of another store than {store}; give a copy of this one (--copy), or rename "
            f"{store.name} first if the copy is to take its place"
        )


def _identity(place: Path) -> str | None:
    with closing(sqlite_file.connect(place, "ro")) as connection:
        found = connection.execute("SELECT value FROM settings WHERE name = 'identity'").fetchone()
    return None if found is None else found[0]


def put_aside(store: Path) -> Path | None:
    """Rename what is there, with what lies beside it, to a name that is free."""
    if not store.exists():
        return None
    number = 1
    while (aside := store.with_name(f"{store.name}.before-{number}")).exists():
        number += 1
    for end in ("", *BESIDE):
        file = store.with_name(store.name + end)
        if file.exists():
            file.rename(aside.with_name(aside.name + end))
    return aside


def _swap(new: Path, place: Path) -> None:
    """Durably: the content first, then the name."""
    with new.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(new, place)
    sync_folder(place.parent)


GIVEN = {
    "client_uuid": (str,),
    "query_id": (int,),
    "annotator": (str,),
    "active_ms": (int, NoneType),
    "supersedes": (int, NoneType),
}
ANSWER = GIVEN | {
    "id": (int,),
    "seq": (int,),
    "feedback": (dict,),
    "shown_order": (list,),
    "received_at": (float, int),
    "sha256": (str,),
}
"""What a line of responses.jsonl holds; GIVEN: as the store wants it."""
ASKED = {
    "key": (str,),
    "kind": (str,),
    "items": (list,),
    "tick": (int,),
    "payload": (dict,),
    "wanted": (int,),
    "purpose": (str,),
}
QUESTION = ASKED | {"id": (int,), "repeat": (dict, NoneType)}
"""What a line of questions.jsonl holds; ASKED: as the store wants it."""
AGAIN = {"original_id": (int,), "annotator": (str,), "block": (int,)}
"""What it says of a repeat."""
PREFIXES: dict[str, Purpose] = {"held-out/": "held_out", "repeat/": "repeat"}
"""What a question was for, by its key, in lines that were written before they said so."""


def _catch_up(connection: Connection, log: LoggedFeedback) -> tuple[int, int, int]:
    """How many answers were there, how many were added, and how many are left."""
    rows = SqlQueueRows(connection)
    copied = last = connection.execute(LAST_SEQ).scalar_one()
    again = _ask(connection, log.questions)
    known = {*connection.execute(select(queries.c.id)).scalars(), *again}
    later = [(where, row) for where, row in _checked(log.answers, ANSWER) if row["seq"] > copied]
    for where, row in later:
        if row["seq"] != last + 1 or row["query_id"] not in known:
            break  # those after it too: readers count on numbers without gaps
        rows.enter(row["annotator"])
        if row["query_id"] in again:
            _ask_again(rows, again.pop(row["query_id"]))
        _add(rows, where, row)
        last += 1
    for question in again.values():
        _ask_again(rows, question)
    # what the log does not hold, such as showings, may be missing: those who were asked must be believed
    keep_setting(connection, "restored", "1")
    added = last - copied
    return copied, added, len(later) - added


def _ask(connection: Connection, asked: Placed) -> dict[int, Row]:
    """Add the questions that are not there; those that repeat another one are given back, by id.

    A repeat shows the options the other way round than its original, so it waits for the answer to that one.
    """
    known = {row.id: row.key for row in connection.execute(select(queries.c.id, queries.c.key))}
    ids = {key: id for id, key in known.items()}
    new: dict[str, Row] = {}
    again: dict[int, Row] = {}
    for where, row in _checked(_with_purpose(asked), QUESTION):
        id, key = row["id"], row["key"]
        if known.setdefault(id, key) != key or ids.setdefault(key, id) != id:
            raise PlauditError(
                f"{where}: another question than question {id} of the copy; these lists belong to another store: put "
                "questions.jsonl and responses.jsonl away to restore the copy alone"
            )
        whole = {"id": id, **_row(where, row)}
        if row["repeat"] is not None:
            again[id] = {"query": whole, "whose": {"query_id": id, **row["repeat"]}}
        else:
            new[key] = whole
    add_queries(connection, new)
    there = set(connection.execute(select(repeats.c.query_id)).scalars())
    return {id: row for id, row in again.items() if id not in there}


def _with_purpose(asked: Placed) -> Placed:
    """The rows of questions, each with its purpose."""
    for where, row in asked:
        prefix = next((prefix for prefix in PREFIXES if str(row.get("key")).startswith(prefix)), None)
        yield where, {"purpose": "train" if prefix is None else PREFIXES[prefix], **row}


def _row(where: str, row: Row) -> Row:
    """A question's row but for its id."""
    try:
        asked: Row = {**row, "items": tuple(row["items"])}
        return row_of_query(NewQuery(**{name: asked[name] for name in ASKED}))
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}") from None


def _ask_again(rows: SqlQueueRows, question: Row) -> None:
    rows.connection.execute(insert(queries).values(question["query"]))
    rows.enter(question["whose"]["annotator"])
    give_repeat(rows, question["whose"], 0.0)


def _checked(given: Placed, fields: dict[str, tuple[type, ...]]) -> Placed:
    """The rows, once they hold what they should."""
    for where, row in given:
        _check(where, row, fields)
        if isinstance(row.get("repeat"), dict):
            _check(where, row["repeat"], AGAIN)
        yield where, row


def _check(where: str, row: Row, fields: dict[str, tuple[type, ...]]) -> None:
    for name, kinds in fields.items():
        value = row.get(name)
        if type(value) not in kinds or (isinstance(value, int) and abs(value) > LARGEST):
            state = "damaged" if name in row else "missing"
            raise PlauditError(
                f"{where}: `{name}` is {state}; mend the line, or drop it to restore the others"
            )


def _add(rows: SqlQueueRows, where: str, row: Row) -> None:
    """One answer, exactly as it was."""
    try:
        response = NewResponse(
            **{name: row[name] for name in GIVEN},
            feedback=from_json(row["feedback"]),
            shown_order=tuple(row["shown_order"]),
        )
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}") from None
    if wire.digest(response) != row["sha256"]:
        raise PlauditError(
            f"{where}: answer {row['seq']} is not what was stored (its SHA-256 differs); drop its line and "
            "those after it to restore what came before"
        )
    query = rows.query(response.query_id)
    assert query is not None
    queue.show(rows, 0, query, response.annotator, response.shown_order)
    exact = {name: row[name] for name in ("id", "seq", "received_at", "sha256")}
    rows.connection.execute(insert(responses).values({**exact, **row_of_response(response)}))
    if response.supersedes is None:
        _fill(rows.connection, row["id"], response)


def _fill(connection: Connection, number: int, response: NewResponse) -> None:
    """The answer takes the slot of this person, or else any open one: leases may have moved since the copy."""
    own = func.coalesce(slots.c.holder == response.annotator, False)
    free = (
        select(slots.c.id)
        .where(slots.c.query_id == response.query_id, slots.c.response_id.is_(None))
        .order_by(own.desc(), slots.c.id)
        .limit(1)
    )
    slot = connection.execute(free).scalar_one()
    connection.execute(FILL, {"slot": slot, "response": number, "who": response.annotator})
