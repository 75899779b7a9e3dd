"""A progress bar for whoever asks for one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from plaudit.trackers.console import ProgressBar


@contextmanager
def bar(
    title: str, total: int, wanted: bool, counted: str = "decisions"
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A bar that is told the metrics of every update; without one they go nowhere."""
    if not wanted:
        yield lambda row: None
        return
    shown = ProgressBar(title, total, Console(stderr=True), counted)
    try:
        yield shown.write
    finally:
        shown.close()
