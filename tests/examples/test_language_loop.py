"""The language loop on one page: short, and it runs from end to end."""

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "language_loop.py"


def test_it_fits_on_a_page() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.slow
def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Far too short to learn anything: every step is taken and tells what it did."""
    main = runpy.run_path(str(EXAMPLE))["main"]
    wins = main(lessons=60, labels=20, updates=5, seed=0)
    said = capsys.readouterr().out
    assert 0 <= wins <= 1 and "better than before on" in said
    assert "imitation:" in said and "the reward model foresees" in said and "update   5" in said
