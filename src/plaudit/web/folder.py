"""The folder of a run, or of questions that are only to be answered, as the server reads it."""

import fcntl
import json
import struct
import sys
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from plaudit.errors import PlauditError
from plaudit.runs import old_names
from plaudit.storage.backup import Changes, copy, copy_path, counts, identity

EVERY_SECONDS = 60.0
"""Between two copies, where anything is new."""


class Backups:
    """Copies what is new."""

    def __init__(self, store: Path):
        self.store = store
        self._copied: int | None = None
        self._changes = Changes(store)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="copies", daemon=True)

    def start(self) -> None:
        """Begin; only once no other server may be writing this copy."""
        self._thread.start()

    def close(self) -> None:
        """Copy what is left, then stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._changes.close()

    def _follow(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self._turn()
        self._turn()

    def _turn(self) -> None:
        try:
            version = self._changes.version()
            if self._is_another():
                self._tell(
                    "it holds less than its copy, or is another store; "
                    f"plaudit restore {self.store.parent} puts the copy back"
                )
            elif version != self._copied or not copy_path(self.store).exists():
                copy(self.store)
                self._copied = version
        except Exception as error:  # a full disk, say: the next turn tries again
            self._tell(str(error))

    def _is_another(self) -> bool:
        """Nothing is ever deleted: where something is missing, somebody took the store away and began a new one."""
        kept = copy_path(self.store)
        before, now = counts(kept), counts(self.store)
        names = identity(kept), identity(self.store)
        return now[0] < before[0] or now[1] < before[1] or (None not in names and names[0] != names[1])

    def _tell(self, why: str) -> None:
        print(f"plaudit: no copy of the store was made: {why}", file=sys.stderr)


@dataclass(frozen=True)
class Folder:
    """Where things lie; the same names as in a run folder."""

    path: Path

    @property
    def store(self) -> Path:
        """Questions and answers."""
        return self.path / "feedback.db"

    @property
    def server_record(self) -> Path:
        """Who serves this folder, and where."""
        return self.path / "server.json"

    @property
    def title(self) -> str:
        """What people call it."""
        return self.path.resolve().name

    def manifest(self) -> dict[str, Any]:
        """What the trainer says about the run; PlauditError where this is no run folder."""
        try:
            found = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise PlauditError(
                f"{self.path}: not a run folder (manifest.json is missing); give the folder a run was written to"
            ) from None
        except ValueError as error:
            raise PlauditError(f"{self.path / 'manifest.json'}: damaged ({error}); restore it") from None
        return found if isinstance(found, dict) else {}

    def budget(self) -> tuple[int | None, str]:
        """How far the run goes, and in what that is counted: updates of a language run, timesteps of a control run."""
        found = _config(self.path / "config.yaml")
        language = old_names.medium(found) == "language"
        value = found.get("updates") if language else found.get("timesteps", found.get("steps"))
        field = "update" if language else "timesteps"
        return (value if isinstance(value, int) else None), field

    def patience(self) -> float | None:
        """Seconds without an answer after which the trainer goes on; None: it waits, or nobody real is asked."""
        asked = _config(self.path / "config.yaml").get("feedback")
        if not isinstance(asked, dict) or asked.get("people") != []:
            return None
        value = asked.get("patience")
        return float(value) if isinstance(value, int | float) else None

    def status(self) -> str:
        """How the trainer is: its manifest says so, unless it was killed and could say nothing more."""
        about = self.manifest()
        status = str(about.get("status", "waiting"))
        trained = about.get("stage") != "label"
        return "killed" if trained and status == "running" and _held(self.path / "lock") is False else status


def _config(path: Path) -> dict[str, Any]:
    """The settings of a run, read once; they stay what they are."""
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(16)
def _parsed(path: Path, changed: int) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _held(lock: Path) -> bool | None:
    """Whether some process holds this lock, without touching it; None: cannot be told here.

    `F_GETLK` with the `struct flock` of 64-bit Linux (fcntl.h): type, whence, start, length, process.
    """
    if sys.platform != "linux" or not lock.exists():
        return None
    layout = "hhqqi4x"
    asked = struct.pack(layout, fcntl.F_WRLCK, 0, 0, 0, 0)
    try:
        with lock.open("rb") as file:
            found = fcntl.fcntl(file, fcntl.F_GETLK, asked)
    except OSError:
        return None
    return struct.unpack(layout, found)[0] != fcntl.F_UNLCK
