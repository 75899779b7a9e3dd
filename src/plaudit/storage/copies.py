"""Copies of a store in a SQLite file, and a store made again from one of them.

A copy is whole or absent. Questions and answers that came after it lie in questions.jsonl and responses.jsonl, which
are written behind every commit; they come back too.
"""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.storage import sqlite_file
from plaudit.storage.artifacts import sync_folder
from plaudit.storage.catching_up import Mirrored, catch_up
from plaudit.storage.opening import open_engine
from plaudit.storage.session import Session

MIRROR = "responses.jsonl"
"""Every answer once more, beside the store."""
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
    """Answers of the mirror whose questions neither the copy nor the mirror knows, and those after them."""
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


def restore(store: Path, source: Path, mirrored: Mirrored) -> Restored:
    """Put a copy in the place of a store that is lost or damaged, and add what came after it by the lists beside it.

    The file of before is kept, under another name. Answers get the numbers they had, so that receipts stay good.
    Raises PlauditError for a copy that is missing or damaged and for a line of the mirror that is.
    """
    _check_source(store, source)
    made = store.with_name(store.name + ".restored")
    for end in ("", *BESIDE):
        made.with_name(made.name + end).unlink(missing_ok=True)
    sqlite_file.backup(source, made)
    session = Session(*open_engine(made))
    try:
        copied, added, left = session.write(lambda connection: catch_up(connection, mirrored))
    finally:
        session.engine.dispose()  # the last connection to a file empties its write-ahead log into it
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
