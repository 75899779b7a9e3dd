"""questions.jsonl and responses.jsonl: every question and every answer once more, one a line, in their order.

For people, grep, `plaudit verify` and `plaudit restore`. They are written after the commit, by a thread of its own, and
can be made again from the store at any time. The question of an answer that stands here stands here too.
"""

import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plaudit.feedback import to_json
from plaudit.storage.backup import QUESTIONS, put_aside
from plaudit.storage.label_queue import LabelQueue
from plaudit.storage.store import LARGEST, Query, Response

WAIT_SECONDS = 2.0
GATHER_SECONDS = 0.25
"""After the first news: more may come, and one reading serves them all."""


class FeedbackLog:
    """Appends what is new in the store."""

    def __init__(self, queue: LabelQueue, path: Path):
        self.queue = queue
        self.questions, self.answers = path.with_name(QUESTIONS), path
        self._new, self._stop = threading.Event(), threading.Event()
        self._id = self._seq = 0
        self._key: Any = None
        self._uuid: Any = None
        self._thread = threading.Thread(target=self._follow, name="feedback log", daemon=True)

    def start(self) -> None:
        """Begin to write; only once no other server may be writing to these files."""
        self._mend()
        if not self._fits():  # somebody put another store in this place: these go on from the one of before
            for path in (self.questions, self.answers):
                put_aside(path)
            self._mend()
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
        last = False
        while not last:
            self._new.wait(WAIT_SECONDS)
            last = self._stop.wait(GATHER_SECONDS)
            self._new.clear()
            try:
                self._catch_up()
            except Exception:  # a full disk, say: the store has it all, the next turn tries again
                self._mend()

    def _catch_up(self) -> None:
        more = True
        while more:
            said = self.queue.after(self._seq)
            if asked := self.queue.questions(self._id):  # read after the answers, written before them
                _append(self.questions, [question_line(*one) for one in asked])
                self._id = asked[-1][0].id
            if more := bool(said):
                _append(self.answers, [line(*one) for one in said])
                self._seq = said[-1][0].seq

    def _mend(self) -> None:
        """Go on behind the last whole lines."""
        self._id, self._key = _last(self.questions, "id", "key")
        self._seq, self._uuid = _last(self.answers, "seq", "client_uuid")

    def _fits(self) -> bool:
        """Whether the store holds what the last lines say."""
        asked = self.queue.questions(self._id - 1)[:1] if self._id else []
        said = self.queue.after(self._seq - 1, 1) if self._seq else []
        keys, uuids = [query.key for query, _ in asked], [response.client_uuid for response, _ in said]
        return (keys or [None], uuids or [None]) == ([self._key], [self._uuid])


def line(response: Response, sha256: str) -> str:
    """An answer with its receipt, as a line."""
    return _line(asdict(response) | {"feedback": to_json(response.feedback), "sha256": sha256})


def question_line(query: Query, repeat: dict[str, Any] | None) -> str:
    """A question as a line; with the original, the person and the block of a repeat."""
    row = asdict(query) | {"repeat": repeat}
    del row["shown_order"]  # of one person
    return _line(row)


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def _append(path: Path, lines: list[str]) -> None:
    with path.open("ab") as file:
        file.write("".join(lines).encode())


def _last(path: Path, number: str, name: str) -> tuple[int, Any]:
    """Cut off a line that was never finished; two fields of the last whole one, 0 and None where there is none."""
    try:
        with path.open("r+b") as file:
            data = file.read()
            kept = data[: data.rfind(b"\n") + 1]
            file.truncate(len(kept))
    except OSError:
        return 0, None
    last = kept.rstrip(b"\n").rpartition(b"\n")[2]
    if not last:
        return 0, None
    try:
        row = json.loads(last)
        return min(int(row[number]), LARGEST), row[name]
    except (ValueError, KeyError, TypeError):
        return 0, "damaged"
