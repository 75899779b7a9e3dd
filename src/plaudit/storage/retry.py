"""Telling errors that pass from errors that stay, and trying again after the former."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError, TimeoutError

from plaudit.storage.store import Busy, DiskFull, Refused

Result = TypeVar("Result")

SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_FULL = 5, 6, 10, 13
"""Primary result codes: the low byte of the error code (sqlite.org/rescode.html)."""

Verdict = Literal["again", "full", "gone", "fatal"]

POSTGRES: dict[str, Verdict] = {
    "40001": "again",  # serialization_failure
    "40P01": "again",  # deadlock_detected
    "55P03": "again",  # lock_not_available
    "23505": "again",  # unique_violation: two wrote the same at once; now the second finds it stored
    "53100": "full",  # disk_full
    "57P01": "gone",  # admin_shutdown
    "57P02": "gone",  # crash_shutdown
    "57P03": "gone",  # cannot_connect_now
}
"""By SQLSTATE (Postgres manual, appendix A)."""


def verdict(error: DBAPIError) -> Verdict:
    """again: not stored, but trying again may work; full: no room; gone: no connection; fatal: the rest."""
    original = error.orig
    state = getattr(original, "sqlstate", None)
    if state is not None:
        return POSTGRES.get(state, "fatal")
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
    """Do it, again where only the moment was wrong; `name` is the store to name in errors.

    Waits 10 ms, 20 ms, 40 ms ... at most 1 s in between. Whatever else the database says becomes one
    sentence.
    """
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except TimeoutError as error:  # has waited long already
            raise Busy(f"{name}: too many are at the database at once; try again") from error
        except DBAPIError as error:
            kind = verdict(error)
            if kind == "full":
                message = (
                    f"{name}: the disk is full, so nothing of this was stored; free some space and go on"
                )
                raise DiskFull(message) from error
            if kind == "gone":
                raise Busy(
                    f"{name}: the connection was lost; send it again, nothing is stored twice"
                ) from error
            if kind == "fatal":
                raise Refused(f"{name}: the database refuses: {_first_line(error)}") from error
            if attempt == attempts:
                raise Busy(f"{name}: the database stays busy ({_first_line(error)}); try again") from error
        sleep(min(0.01 * 2 ** (attempt - 1), 1.0))
    raise AssertionError("attempts must be 1 or more")


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
