"""Metrics on the terminal: a progress bar with the few numbers that tell how it goes."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

SHOWN = {"rollout/ep_rew_mean": "return", "eval/return_mean": "evaluated", "feedback/labels": "labels",
         "reward/fresh_accuracy": "reward accuracy", "objective/kl": "KL",
         "objective/scores": "reward", "eval/hidden_mean": "hidden score", "watch/win_rate": "judged better",
         "val/nll_avg": "held-out loss"}  # fmt: skip


class ProgressBar:
    """One bar over a run, counted in one field of its metrics; shows the last known value of each number."""

    def __init__(self, title: str, total: int, console: Console, counted: str = "decisions"):
        self.counted = counted
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
                   TimeRemainingColumn(), TextColumn("{task.fields[numbers]}"))  # fmt: skip
        self.progress = Progress(*columns, console=console, refresh_per_second=4)
        self.task = self.progress.add_task(title, total=total, numbers="")
        self.known: dict[str, float] = {}

    def write(self, row: Mapping[str, Any]) -> None:
        """Advance to where the row is. The bar appears with the first row: an error before it stands alone."""
        if not self.progress.live.is_started:
            self.progress.start()
        self.known |= {label: row[name] for name, label in SHOWN.items() if row.get(name) is not None}
        numbers = "  ".join(f"{label} {value:.4g}" for label, value in self.known.items())
        self.progress.update(self.task, completed=row[self.counted], numbers=numbers)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self.progress.stop()
