"""Several seeds of a run side by side, each in a process of its own: what happens to one does not touch the others."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError

Watch = Callable[[dict[str, Any]], None]
GRACE = 1.0
"""Seconds in which a process may stop by itself: Ctrl-C reaches all, and twice it might keep one from noting it."""


@dataclass(frozen=True)
class Seed:
    """A run that is to be done, or gone on with."""

    name: str
    config: dict[str, Any]
    """Plain values: what a process can be given."""
    path: Path


Work = Callable[[Seed, Watch], str]
"""Does a run, tells its rows of metrics, and gives what is to be said of it; a function that processes find by name."""


@dataclass(frozen=True)
class Outcome:
    """How a seed came out."""

    seed: Seed
    said: str
    """The result, or the error."""
    failed: bool = False


def side_by_side(
    work: Work, seeds: Sequence[Seed], jobs: int, watch: Callable[[Seed, dict[str, Any]], None]
) -> Iterator[Outcome]:
    """So many at a time, in this order, each outcome as soon as it is there. Stopped, it stops them all."""
    left, running = list(seeds), dict[Connection, tuple[Seed, SpawnProcess]]()
    try:
        while left or running:
            while left and len(running) < jobs:
                pipe, process = _begun(work, left[0])
                running[pipe] = (left.pop(0), process)
            for pipe in wait(list(running)):
                assert isinstance(pipe, Connection)
                seed, process = running[pipe]
                try:
                    told = pipe.recv()
                except (EOFError, OSError):
                    process.join()
                    del running[pipe]
                    if process.exitcode:
                        yield Outcome(
                            seed, f"its process ended with status {process.exitcode}; run it again", True
                        )
                    continue
                if isinstance(told, Outcome):
                    yield told
                else:
                    watch(seed, told)
    finally:
        for _, process in running.values():
            process.join(GRACE)
        for _, process in running.values():
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGINT)
        for _, process in running.values():
            process.join()


def _begun(work: Work, seed: Seed) -> tuple[Connection, SpawnProcess]:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    # a fresh interpreter: a fork of one in which torch has threads may hang
    process = multiprocessing.get_context("spawn").Process(target=_alone, args=(work, seed, theirs))
    process.start()
    theirs.close()  # so that the end of the process is the end of what it tells
    return ours, process


def _alone(work: Work, seed: Seed, pipe: Connection) -> None:
    """In the process: do the work and tell it. Where nobody listens any more, stop as by hand."""

    def tell(row: dict[str, Any]) -> None:
        try:
            pipe.send(row)
        except OSError:
            raise KeyboardInterrupt from None

    try:
        outcome = Outcome(seed, work(seed, tell))
    except PlauditError as error:
        outcome = Outcome(seed, str(error), failed=True)
    except KeyboardInterrupt:
        os._exit(130)  # noted in the run folder, and said by whoever began it
    try:
        pipe.send(outcome)
    except OSError:
        os._exit(130)
