"""Metrics on disk and on the terminal."""

import json
import math
from io import StringIO
from pathlib import Path

from rich.console import Console

from plaudit.trackers.console import ProgressBar
from plaudit.trackers.jsonl import JsonLines


def test_every_row_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    tracker = JsonLines(file)
    tracker.write({"update": 1, "objective/kl": 0.1 + 0.2, "list": [1.5, 2], "名": "é"})
    assert json.loads(file.read_text(encoding="utf-8")) == {
        "update": 1,
        "objective/kl": 0.1 + 0.2,
        "list": [1.5, 2],
        "名": "é",
    }
    tracker.write({"update": 2})
    tracker.close()
    again = JsonLines(file)
    again.write({"update": 3})
    again.close()
    assert [json.loads(line)["update"] for line in file.read_text(encoding="utf-8").splitlines()] == [1, 2, 3]


def strict(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_what_is_not_finite_becomes_null_at_any_depth(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    tracker = JsonLines(file)
    tracker.write({"a": math.nan, "b": [1.0, -math.inf], "c": {"d": math.inf}, "e": True})
    tracker.close()
    row = json.loads(file.read_text(), parse_constant=strict)
    assert row == {"a": None, "b": [1.0, None], "c": {"d": None}, "e": True}


def test_the_bar_shows_the_last_known_numbers() -> None:
    text = StringIO()
    bar = ProgressBar("run", 100, Console(file=text, force_terminal=True, width=120))
    bar.write({"timesteps": 50, "rollout/ep_rew_mean": 12.0, "objective/kl": None})
    bar.write({"timesteps": 100, "unknown": 1})
    bar.close()
    assert "return 12" in text.getvalue() and "100%" in text.getvalue() and "KL" not in text.getvalue()
