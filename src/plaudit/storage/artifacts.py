"""Artifacts: bytes named by their SHA-256 in a folder; written whole or not at all, never changed."""

import errno
import hashlib
import os
import re
import uuid
from contextlib import suppress
from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.storage.store import DiskFull

HASH = re.compile(r"[0-9a-f]{64}")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Artifacts:
    """A folder of segments, renderings and texts; any number of processes may share it."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)

    def put(self, content: bytes) -> str:
        """Store bytes and give their hash; they are on disk on return. Storing again changes nothing."""
        name = hashlib.sha256(content).hexdigest()
        path = self._path(name)
        if path.is_file() and path.stat().st_size == len(content) and self._sound(path, name):
            return name
        temporary = path.with_name(f".writing-{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            if error.errno in NO_ROOM:
                raise DiskFull(f"{self.folder}: the disk is full; free some space and go on") from error
            raise PlauditError(f"{self.folder}: cannot write an artifact: {error.strerror}") from error
        return name

    def get(self, name: str) -> bytes:
        """The bytes with this hash, checked against it."""
        path = self._path(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise PlauditError(
                f"{path}: this artifact is missing; restore it from a copy of the folder"
            ) from None
        except OSError as error:
            raise PlauditError(f"{path}: cannot read this artifact: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != name:
            raise PlauditError(f"{path}: this artifact is damaged (its hash differs); restore it from a copy")
        return content

    def __contains__(self, name: str) -> bool:
        """Whether an artifact with this hash is there."""
        return self._path(name).is_file()

    def _path(self, name: str) -> Path:
        """Where it lies; whatever is not a hash, such as a path that climbs out of the folder, is refused."""
        if not isinstance(name, str) or not HASH.fullmatch(name):
            raise PlauditError(f"{name!r} is not the hash of an artifact: 64 characters of 0-9 and a-f")
        return self.folder / name[:2] / name

    def _sound(self, path: Path, name: str) -> bool:
        """A damaged file is written anew when its content comes again."""
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest() == name
        except OSError:
            return False


def sync_folder(folder: Path) -> None:
    """Put the folder's entry on disk too; where folders cannot be opened there is nothing to do."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it is either the old one or the new one, whatever happens."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
