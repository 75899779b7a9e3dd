"""Progress where nobody watches a terminal."""

import io

from rich.console import Console

from plaudit.trackers.console import ProgressBar


def lines(rows: list[tuple[float, dict]], total: int = 1000) -> list[str]:
    """What a file gets from rows that come at given seconds."""
    times = iter([0.0, *(second for second, _ in rows)])
    file = io.StringIO()
    bar = ProgressBar("a run", total, Console(file=file), clock=lambda: next(times))
    for _, row in rows:
        bar.write(row)
    bar.close()
    return file.getvalue().splitlines()


def test_a_file_gets_a_line_for_every_tenth() -> None:
    said = lines([(0.1 * i, {"timesteps": 10 * i, "objective/kl": i / 3}) for i in range(1, 101)])
    assert said == [f"a run: {10 * i}% after {i} s  KL {10 * i / 3:.4g}" for i in range(1, 11)]


def test_and_a_line_when_nothing_was_said_for_long() -> None:
    said = lines([(second, {"timesteps": 1}) for second in (10, 29, 31, 40, 60, 62, 90)])
    assert said == ["a run: 0% after 31 s", "a run: 0% after 62 s"]


def test_a_long_line_stays_one_and_brackets_are_text() -> None:
    row = {"timesteps": 1000, "rollout/ep_rew_mean": 1.0, "eval/return_mean": 2.0, "feedback/labels": 3,
           "reward/held_out_accuracy": 0.5, "objective/kl": 1.0, "objective/scores": 2.0}  # fmt: skip
    (said,) = lines([(1, row)])
    assert said.startswith("a run: 100% after 1 s  return 1  evaluated 2") and said.endswith("reward 2")


def test_a_terminal_gets_a_bar() -> None:
    file = io.StringIO()
    bar = ProgressBar("a run", 100, Console(file=file, force_terminal=True, width=120))
    bar.write({"timesteps": 50, "feedback/labels": 7})
    bar.close()
    assert "50%" in file.getvalue() and "labels 7" in file.getvalue()
