"""responses.jsonl: every answer once more, one a line, in the order of seq; for people, grep and `plaudit verify`.

It is written after the commit, by a thread of its own, and can be made again from the store at any time.
"""

import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plaudit.feedback import to_json
from plaudit.storage.reception import Reception
from plaudit.storage.store import Response

WAIT_SECONDS = 2.0
GATHER_SECONDS = 0.25
"""After the first news: more may come, and one reading serves them all."""


class Mirror:
    """Appends what is new in the store."""

    def __init__(self, reception: Reception, path: Path):
        self.reception, self.path = reception, path
        self._new, self._stop = threading.Event(), threading.Event()
        self._seq = 0
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)

    def start(self) -> None:
        """Begin to write; only once no other server may be writing to this file."""
        self._seq = _mend(self.path)
        self._thread.start()

    def wake(self) -> None:
        """Something was stored."""
        self._new.set()

    def close(self) -> None:
        """Write what is left, then stop."""
        self._stop.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(10)

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._new.wait(WAIT_SECONDS)
            self._stop.wait(GATHER_SECONDS)
            self._new.clear()
            try:
                self._catch_up()
            except Exception:  # a full disk, say: the store has the answers, the next turn tries again
                self._seq = _mend(self.path)

    def _catch_up(self) -> None:
        while found := self.reception.after(self._seq):
            with self.path.open("ab") as file:
                file.write(b"".join(line(response, sha256).encode() for response, sha256 in found))
            self._seq = found[-1][0].seq


def line(response: Response, sha256: str) -> str:
    """An answer with its receipt, as a line."""
    row: dict[str, Any] = asdict(response) | {"feedback": to_json(response.feedback), "sha256": sha256}
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def _mend(path: Path) -> int:
    """Cut off a line that was never finished; the seq of the last whole one, 0 where there is none."""
    try:
        with path.open("r+b") as file:
            data = file.read()
            kept = data[: data.rfind(b"\n") + 1]
            file.truncate(len(kept))
        last = kept.rstrip(b"\n").rpartition(b"\n")[2]
        return int(json.loads(last)["seq"]) if last else 0
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0
