"""The server as people start it: a process of its own."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2

SECONDS = 60


@dataclass
class Server:
    """A running `plaudit serve`."""

    process: subprocess.Popen[str]
    address: str
    token: str
    """Of the link that it printed."""

    def client(self, token: str | None = None) -> httpx2.Client:
        """Somebody who comes in by a link; by the one that was printed where none is given."""
        http = httpx2.Client(base_url=self.address, timeout=SECONDS)
        http.post("/api/join", json={"token": token or self.token}).raise_for_status()
        http.headers["X-Plaudit-CSRF"] = http.get("/api/me").json()["csrf"]
        return http

    def end(self, signal: int) -> int:
        """Send a signal and wait; the exit status."""
        self.process.send_signal(signal)
        status = self.process.wait(SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


def start(folder: Path, *flags: str, stderr: int | None = None) -> Server:
    """Start a server and wait until it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "plaudit.cli.main", "serve", str(folder), *flags],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    said = process.stdout.readline() + process.stdout.readline()
    address = re.search(r"http://[^\s/]+", said)
    assert address is not None, said
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            httpx2.get(f"{address.group()}/api/health", timeout=SECONDS).raise_for_status()
            break
        except httpx2.TransportError:
            time.sleep(0.02)
    return Server(process, address.group(), said.strip().rpartition("#")[2])
