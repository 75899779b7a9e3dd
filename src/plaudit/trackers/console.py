"""Metrics on the terminal: a progress bar with the few numbers that tell how it goes; in a file, lines now and then."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

SHOWN = {"rollout/ep_rew_mean": "return", "eval/return_mean": "evaluated", "feedback/labels": "labels",
         "reward/held_out_accuracy": "reward accuracy",
         "objective/kl": "KL", "objective/kl_per_answer": "KL",  # of an answer where there are answers
         "objective/scores": "reward", "eval/gold_reward_mean": "gold reward", "watch/win_rate": "judged better",
         "val/nll_avg": "held-out loss"}  # fmt: skip

PARTS = 10
"""Lines in a file where all goes evenly: one each time so much more is done."""
SILENT_SECONDS = 30.0
"""However little was done: after so long there is a line."""


class ProgressBar:
    """One bar over a run, counted in one field of its metrics; shows the last known value of each number."""

    def __init__(
        self,
        title: str,
        total: int,
        console: Console,
        counted: str = "timesteps",
        clock: Callable[[], float] = time.monotonic,
    ):
        self.title, self.total, self.console, self.counted = title, total, console, counted
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
                   TimeRemainingColumn(), TextColumn("{task.fields[numbers]}"))  # fmt: skip
        self.progress = Progress(*columns, console=console, refresh_per_second=4)
        self.task = self.progress.add_task(title, total=total, numbers="")
        self.known: dict[str, float] = {}
        self._clock, self._began = clock, clock()
        self._reported = (0, self._began)

    def beside(self, title: str) -> "ProgressBar":
        """A bar of its own for another run as long as this one, shown below; closing one closes all."""
        other = ProgressBar(title, self.total, self.console, self.counted, self._clock)
        other.progress = self.progress
        other.task = self.progress.add_task(title, total=self.total, numbers="")
        return other

    def write(self, row: Mapping[str, Any]) -> None:
        """Advance to where the row is. The bar appears with the first row: an error before it stands alone."""
        self.known |= {label: row[name] for name, label in SHOWN.items() if row.get(name) is not None}
        numbers = "  ".join(f"{label} {value:.4g}" for label, value in self.known.items())
        if not self.console.is_terminal:
            self._line(row[self.counted], numbers)
            return
        if not self.progress.live.is_started:
            self.progress.start()
        self.progress.update(self.task, completed=row[self.counted], numbers=numbers)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self.progress.live.is_started:
            self.progress.stop()

    def _line(self, done: int, numbers: str) -> None:
        part, at = self._reported
        now = self._clock()
        if PARTS * done // self.total <= part and now - at < SILENT_SECONDS:
            return
        self._reported = (PARTS * done // self.total, now)
        share, seconds = done / self.total, now - self._began
        text = f"{self.title}: {share:.0%} after {seconds:.0f} s  {numbers}".rstrip()
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
