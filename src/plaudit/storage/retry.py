"""Telling errors that pass from errors that stay, and trying again after the former."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError

from plaudit.errors import PlauditError
from plaudit.storage.store import DiskFull

Result = TypeVar("Result")

SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_FULL = 5, 6, 10, 13
"""Primary result codes: the low byte of the error code (sqlite.org/rescode.html)."""

POSTGRES_TRANSIENT = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
    "23505",  # unique_violation: two wrote the same at once; the second then finds what the first wrote
}
POSTGRES_FULL = {"53100"}  # disk_full
POSTGRES_GONE = {"57P01", "57P02", "57P03"}  # shut down, crashed, starting up

Verdict = Literal["again", "full", "gone", "fatal"]


def verdict(error: DBAPIError) -> Verdict:
    """again: nothing was stored, and trying again may work; full: no room; gone: no connection; fatal: the rest."""
    original = error.orig
    state = getattr(original, "sqlstate", None)
    if state is not None:
        found = {"again": POSTGRES_TRANSIENT, "full": POSTGRES_FULL, "gone": POSTGRES_GONE}
        return next((name for name, states in found.items() if state in states), "fatal")  # type: ignore[return-value]
    code = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        if code & 0xFF in (SQLITE_BUSY, SQLITE_LOCKED):
            return "again"
        if code & 0xFF == SQLITE_FULL or (code & 0xFF == SQLITE_IOERR and "full" in str(original)):
            return "full"
        return "again" if isinstance(error, IntegrityError) and "UNIQUE" in str(original) else "fatal"
    return "gone" if error.connection_invalidated else "fatal"


def retrying(
    action: Callable[[], Result], name: str, attempts: int = 8, sleep: Callable[[float], None] = time.sleep
) -> Result:
    """Do it, again where the database says that only the moment was wrong; `name` is the store to name in errors.

    Waits 10 ms, 20 ms, 40 ms ... at most 1 s in between. Whatever else the database says becomes one sentence.
    """
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except DBAPIError as error:
            kind = verdict(error)
            if kind == "full":
                message = (
                    f"{name}: the disk is full, so nothing of this was stored; free some space and go on"
                )
                raise DiskFull(message) from error
            if kind == "gone":
                raise PlauditError(
                    f"{name}: the connection was lost; send it again, nothing is stored twice"
                ) from error
            if kind == "fatal":
                raise PlauditError(f"{name}: the database refuses: {_first_line(error)}") from error
            if attempt == attempts:
                raise PlauditError(
                    f"{name}: the database stays busy ({_first_line(error)}); try again"
                ) from error
        sleep(min(0.01 * 2 ** (attempt - 1), 1.0))
    raise AssertionError("attempts must be 1 or more")


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
