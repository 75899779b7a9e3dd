"""A SQLite file on disk: is it ours and sound, is it in a good place, and a copy of it while it is in use."""

import sqlite3
import warnings
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from plaudit.errors import PlauditError

APPLICATION_ID = 0x504C4454
"""`PLDT` in the header of the file: what tells our files from other programs' (sqlite.org/pragma.html)."""

BUSY_SECONDS = 10.0

NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "lustre", "fuse.sshfs")


def inspect(path: Path) -> None:
    """Refuse anything but a sound store or a file still to be made; what is refused is left as it is."""
    if path.is_dir():
        raise PlauditError(f"{path} is a folder; give the path of a file")
    if not path.parent.is_dir():
        raise PlauditError(f"{path}: there is no folder {path.parent}; make it first")
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        connection = connect(path, "rw")
        try:
            _inspect(path, connection)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_NOTADB:
            raise PlauditError(
                f"{path} is not a SQLite file; give another path, it was left as it is"
            ) from error
        if code == sqlite3.SQLITE_CORRUPT:
            raise _damaged(path, str(error)) from error
        raise PlauditError(f"{path}: cannot open this file: {error}") from error


def _inspect(path: Path, connection: sqlite3.Connection) -> None:
    (own,) = connection.execute("PRAGMA application_id").fetchone()
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if own != APPLICATION_ID and (own or tables):
        raise PlauditError(f"{path} belongs to another program; give another path, it was left as it is")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _damaged(path, verdict)


def connect(path: Path, mode: Literal["ro", "rw", "rwc"]) -> sqlite3.Connection:
    """A plain connection; the driver begins no transaction by itself."""
    place = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(
        place, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def backup(path: Path, copy: Path) -> None:
    """A sound copy of a file that may be in use (a plain copy would miss the write-ahead log)."""
    if copy.exists():
        raise PlauditError(f"{copy} is there already; a backup never overwrites, give another path")
    source = connect(path, "rw")
    try:
        target = connect(copy, "rwc")
        try:
            source.backup(target)
            target.execute("PRAGMA synchronous=FULL")
        finally:
            target.close()
    except sqlite3.Error as error:
        copy.unlink(missing_ok=True)
        raise PlauditError(f"{copy}: cannot write the backup: {error}") from error
    finally:
        source.close()


def warn_of_network(path: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """Write-ahead logging needs shared memory, which networks do not give (sqlite.org/wal.html)."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return
    places = {fields[1]: fields[2] for fields in (line.split() for line in lines) if len(fields) > 2}
    folder = path.absolute().parent
    system = next((places[str(f)] for f in (folder, *folder.parents) if str(f) in places), "")
    if system in NETWORK_FILE_SYSTEMS:
        warnings.warn(
            f"{path} lies on a network file system ({system}), where SQLite may lose answers; "
            "put the run on a local disk or use postgresql://",
            stacklevel=2,
        )


def _damaged(path: Path, why: str) -> PlauditError:
    why = why.strip().replace("\n", " ")
    return PlauditError(
        f"{path} is damaged ({why}); restore a backup, or rescue it with: sqlite3 {path} .recover"
    )
