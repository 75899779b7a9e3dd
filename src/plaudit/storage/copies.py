"""Copies of a store in a SQLite file, and a store made again from one of them.

A copy is whole or absent. Answers that came after it lie in responses.jsonl, which is written behind every commit;
those to questions that the copy knows come back too.
"""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select

from plaudit.errors import PlauditError
from plaudit.feedback import from_json
from plaudit.storage import repeats, rows, sqlite_file
from plaudit.storage.artifacts import sync_folder
from plaudit.storage.claiming import QUERY, enter, show
from plaudit.storage.opening import open_engine
from plaudit.storage.session import Session
from plaudit.storage.store import NewResponse
from plaudit.storage.submitting import FILL, LAST_SEQ
from plaudit.storage.tables import queries, responses, slots

MIRROR = "responses.jsonl"
"""Every answer once more, beside the store."""
BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside a file that is open."""
GIVEN = ("client_uuid", "query_id", "annotator", "active_ms", "supersedes")
"""What a line of responses.jsonl says of an answer as the store wants it."""


@dataclass(frozen=True)
class Restored:
    """What a store holds again."""

    copied: int
    """Answers that the copy held."""
    added: int
    """Answers that came after it."""
    left: int
    """Answers of the mirror to questions that the copy does not know, and those after them."""
    aside: Path | None
    """Where the file of before is now."""
    kept: Path | None = None
    """Where the answers are that are left."""


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
    left = [file for file in (copy_path(store), store.with_name(MIRROR)) if file.exists()]
    if left and not store.exists():
        raise PlauditError(
            f"{store} is gone, and {left[0].name} is still there; put it back: plaudit restore {store.parent}, "
            "or move that away too to begin anew"
        )


def identity(place: Path) -> str | None:
    """What tells a store, and its copies, from every other one; None: it has no name yet, or is gone or damaged."""
    if not place.exists():
        return None
    with closing(sqlite_file.connect(place, "ro")) as connection:
        try:
            found = connection.execute("SELECT value FROM settings WHERE name = 'identity'").fetchone()
        except sqlite3.DatabaseError:
            return None
    return found and found[0]


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


def restore(store: Path, source: Path, mirrored: Iterable[dict[str, Any]]) -> Restored:
    """Put a copy in the place of a store that is lost or damaged, and add the mirrored answers that came after it.

    The file of before is kept, under another name. Answers get the numbers they had, so that receipts stay good.
    Raises PlauditError for a copy that is missing or damaged and for a mirrored answer that is not what was stored.
    """
    if not source.exists():
        raise PlauditError(f"{source}: there is no such copy; give the path of one (--copy)")
    sqlite_file.inspect(source)
    made = store.with_name(store.name + ".restored")
    for end in ("", *BESIDE):
        made.with_name(made.name + end).unlink(missing_ok=True)
    sqlite_file.backup(source, made)
    session = Session(*open_engine(made))
    try:
        copied, added, left = session.write(lambda connection: _catch_up(connection, mirrored))
    finally:
        session.engine.dispose()  # the last connection to a file empties its write-ahead log into it
    aside = put_aside(store)
    _swap(made, store)
    return Restored(copied, added, left, aside)


def _catch_up(connection: Connection, mirrored: Iterable[dict[str, Any]]) -> tuple[int, int, int]:
    copied = last = connection.execute(LAST_SEQ).scalar_one()
    known = set(connection.execute(select(queries.c.id)).scalars())
    later = [row for row in mirrored if row["seq"] > copied]
    for row in later:
        if row["seq"] != last + 1 or not (row["query_id"] in known or _asked_again(connection, row)):
            break  # those after it too: readers count on numbers without gaps
        known.add(row["query_id"])
        _add(connection, row)
        last += 1
    added = last - copied
    return copied, added, len(later) - added


def _asked_again(connection: Connection, row: dict[str, Any]) -> bool:
    """Whether the question is a repeat for this person: the server asks these, and the copy may not know them yet."""
    enter(connection, row["annotator"])
    return repeats.made_again(connection, row["annotator"], from_json(row["feedback"]), row["query_id"])


def _add(connection: Connection, row: dict[str, Any]) -> None:
    """One answer, exactly as it was."""
    given = {name: row[name] for name in GIVEN}
    response = NewResponse(
        **given, feedback=from_json(row["feedback"]), shown_order=tuple(row["shown_order"])
    )
    stored = rows.of_response(response)
    if stored["sha256"] != row["sha256"]:
        raise PlauditError(
            f"responses.jsonl: answer {row['seq']} is not what was stored (its SHA-256 differs); drop its line and "
            "those after it to restore what came before"
        )
    enter(connection, response.annotator)
    query = rows.to_query(connection.execute(QUERY, {"query": response.query_id}).one())
    show(connection, 0, query, response.annotator, response.shown_order)
    exact = {"id": row["id"], "seq": row["seq"], "received_at": row["received_at"]}
    connection.execute(insert(responses).values({**exact, **stored}))
    if response.supersedes is None:
        _fill(connection, row["id"], response)


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
