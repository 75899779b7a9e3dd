"""A run that asks whoever sits at this machine: a process of its own, without torch, serves the pages."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plaudit.cli.run import resume_one
from plaudit.errors import PlauditError
from plaudit.runs import settings
from plaudit.runs.config import RunConfig, resolve_paths
from plaudit.runs.folder import RunFolder
from plaudit.runs.streams import threads
from plaudit.seeds import seed_of
from plaudit.storage import open_store

START_SECONDS = 20.0


def run_interactive(config: RunConfig, path: Path, title: str, browser: bool) -> RunFolder:
    """One run whose questions are answered in the browser; the pages are there before the first question is."""
    config = resolve_paths(config)
    with threads(config.threads):
        folder = RunFolder.create(path, settings.dump(config), "optimise", config.seed)
    open_store(folder.feedback, seed_of(config.seed, "sides")).close()
    with _served(path, browser):
        done = resume_one(path, title)
        if sys.stdin.isatty():
            with suppress(KeyboardInterrupt, EOFError):
                input("The pages stay until you press Enter. ")
    return done


@contextmanager
def _served(path: Path, browser: bool) -> Iterator[None]:
    command = [sys.executable, "-m", "plaudit.cli.main", "label", str(path)]
    # who ends this process ends the pages, which otherwise would go on by themselves; Ctrl-C reaches this one alone
    before = {number: signal.signal(number, _exit) for number in (signal.SIGTERM, signal.SIGHUP)}
    process = subprocess.Popen(command if browser else [*command, "--no-browser"], start_new_session=True)
    note, began = path / "server.json", time.monotonic()
    try:
        while not note.exists():  # it prints the address and why it could not begin
            if process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise PlauditError("demo --me: the pages could not be served, for the reason above")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, frame: object) -> None:
    sys.exit(128 + number)
