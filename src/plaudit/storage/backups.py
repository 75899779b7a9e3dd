"""Copies of a SQLite store while it is in use: what a broken disk or a wrong hand takes away is minutes old."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import update

from plaudit.errors import PlauditError
from plaudit.storage import sqlite_file
from plaudit.storage.session import Session
from plaudit.storage.tables import slots

EVERY_SECONDS = 900.0
SETTLED = 10**9
"""Nanoseconds after which a file that is written again has another time, however coarse the clock of its disk."""
KEPT = 3
"""Copies that stay, the newest as number 1."""


def copies(path: Path) -> list[Path]:
    """Where the copies of a store lie, the newest first, whether they are there or not."""
    return [path.with_name(f"{path.name}.backup-{number}") for number in range(1, KEPT + 1)]


def newest(path: Path) -> Path | None:
    """The newest copy of a store; None: there is none."""
    return next((copy for copy in copies(path) if copy.exists()), None)


def back_up(path: Path, apart: float = EVERY_SECONDS) -> bool:
    """Copy a store that has changed since its newest copy; whether it had. Once there is a copy there always is one.

    A newest copy younger than `apart` seconds is replaced, and the others stay: starting a server a few times on a
    store that a wrong hand has emptied must not push every good copy out.
    """
    known, changed = newest(path), _changed_at(path)
    if known is not None and known.stat().st_mtime_ns == changed:
        return False
    fresh = path.with_name(f"{path.name}.backup-new")
    fresh.unlink(missing_ok=True)  # of a process that was killed
    sqlite_file.backup(path, fresh)
    if time.time_ns() - changed < SETTLED:
        changed = 0
    os.utime(fresh, ns=(changed, changed))  # of what it is a copy
    places = copies(path)
    if places[0].exists() and time.time() - places[0].stat().st_ctime >= apart:
        for newer, older in reversed(list(zip(places, places[1:], strict=False))):
            if newer.exists():
                os.replace(newer, older)
    os.replace(fresh, places[0])
    return True


def forget_leases(session: Session) -> None:
    """Whoever held a question when a copy was made may not hold it any more: whoever answers it is welcome."""
    free = update(slots).where(slots.c.response_id.is_(None)).values(lease_until=0.0)
    session.write(lambda connection: connection.execute(free))


@contextmanager
def kept(path: Path, seconds: float = EVERY_SECONDS) -> Iterator[None]:
    """Copy the store at once and every so often meanwhile."""
    over = threading.Event()
    thread = threading.Thread(target=_keep, args=(path, seconds, over), name="backups", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _keep(path: Path, seconds: float, over: threading.Event) -> None:
    while True:
        with suppress(
            PlauditError, OSError
        ):  # a full disk, say: the store itself is whole, and the next turn comes
            back_up(path, seconds)
        if over.wait(seconds):
            return


def _changed_at(path: Path) -> int:
    """When the store was written last, be it to its write-ahead log; in nanoseconds."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return max(file.stat().st_mtime_ns for file in files if file.exists())
