"""Formats texts in a process of its own, so that no text can hold up the server: one that takes too long ends it."""

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from threading import Lock, Timer
from typing import Any

from plaudit.errors import PlauditError

LARGEST = 100_000
"""Characters of a text, or of the turns of a dialogue together."""
SECONDS = 2.0
"""How long a text may take."""
START_SECONDS = 60.0
"""How long the process may take to load its libraries."""
MEMORY = 2 << 30
"""Bytes of address space of the process."""
REMEMBERED = 64 << 20
"""Bytes of replies kept in memory, with what was asked."""


class Renderer:
    """One process, started when it is first needed and again after it was ended."""

    def __init__(self, seconds: float = SECONDS):
        self.seconds = seconds
        self._lock = Lock()
        self._known: dict[str, bytes] = {}
        self._size = 0
        self._process: subprocess.Popen[bytes] | None = None

    def nodes(self, texts: list[str]) -> list[list[Any]] | None:
        """The nodes of each text, see `rendered`; None where they are too large, or take too long."""
        if sum(map(len, texts)) > LARGEST:
            return None
        asked = json.dumps(texts)
        reply = self._known.get(asked)
        if reply is None:
            with self._lock:
                try:
                    reply = self._known.get(asked) or self._ask(asked)
                except (
                    PlauditError,
                    OSError,
                ):  # it cannot be started just now: people can go on all the same
                    return None
        return json.loads(reply)

    def start(self) -> None:
        """Have the process at hand; PlauditError where it does not start."""
        with self._lock:
            self._started()

    def close(self) -> None:
        """End the process; the next text starts another one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _ask(self, asked: str) -> bytes:
        reply = _told(self._started(), asked.encode() + b"\n", self.seconds)
        if reply is None:
            self.close()
            reply = b"null"
        self._known[asked] = reply
        self._size += len(asked) + len(reply)
        while self._size > REMEMBERED:
            oldest = next(iter(self._known))
            self._size -= len(oldest) + len(self._known.pop(oldest))
        return reply

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._process = process = subprocess.Popen(
            [sys.executable, "-c", "from plaudit.web.renderer import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # Ctrl-C is for the server, whose end is the end of this
        )
        if _told(process, b"[]\n", START_SECONDS) is None:
            self.close()
            raise PlauditError(
                "The process that formats texts does not start; its error stands above. Where a library is missing: "
                "pip install 'plaudit[web]'"
            )
        return process


def _told(process: subprocess.Popen[bytes], line: bytes, seconds: float) -> bytes | None:
    """What the process replies to a line; None where it is ended for that, or ends by itself."""
    assert process.stdin is not None and process.stdout is not None
    timer = Timer(seconds, process.kill)
    timer.start()
    try:
        process.stdin.write(line)
        process.stdin.flush()
        reply = process.stdout.readline()
    except BrokenPipeError:
        return None
    finally:
        timer.cancel()
    return reply if reply.endswith(b"\n") else None


@cache
def renderer() -> Renderer:
    """The one of this process."""
    made = Renderer()
    atexit.register(made.close)
    return made


def serve() -> None:
    """What the process does: a line of texts in, a line of their nodes out, until its input ends."""
    import resource

    from plaudit.web.rendered import rendered

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin.buffer:
        try:
            reply = [rendered(text) for text in json.loads(line)]
        except Exception:  # too much, too deep, or a mistake of a library: the page shows the text as it is
            reply = None
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
        sys.stdout.buffer.flush()
