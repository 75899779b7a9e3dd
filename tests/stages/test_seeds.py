"""Seeds side by side: each in a process of its own, so that none depends on what becomes of another."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from plaudit.stages.seeds import Outcome, Seed, side_by_side
from tests.stages.working import work


def seeds(folder: Path, *how: str, **more: Any) -> list[Seed]:
    return [Seed(f"seed {i}", {"how": one} | more, folder / f"s{i}") for i, one in enumerate(how)]


def gone(folder: Path, name: str) -> bool:
    try:
        os.kill(int((folder / f"{name}.begun").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def test_one_that_fails_does_not_touch_the_others(tmp_path: Path) -> None:
    rows: list[tuple[str, int]] = []
    given = seeds(tmp_path, "well", "refused", "killed", "broken", "well")
    found = list(side_by_side(work, given, 2, lambda seed, row: rows.append((seed.name, row["timesteps"]))))
    by_name = {one.seed.name: one for one in found}
    assert by_name == {
        "seed 0": Outcome(given[0], "seed 0 is done"),
        "seed 1": Outcome(given[1], "the wheel came off; mend it", True),
        "seed 2": Outcome(given[2], "its process ended with status -9; run it again", True),
        "seed 3": Outcome(given[3], "its process ended with status 3; run it again", True),
        "seed 4": Outcome(given[4], "seed 4 is done"),
    }
    for one in given:  # every row, in order
        assert [number for name, number in rows if name == one.name] == [0, 1, 2]


def test_as_many_at_a_time_as_are_asked_for(tmp_path: Path) -> None:
    """The first waits for the second, and the third begins only once one of them is done."""
    given = seeds(tmp_path, "together", "well", "well", other="s1.begun")
    began_third = []
    for one in side_by_side(
        work, given, 2, lambda seed, row: began_third.append((tmp_path / "s2.begun").exists())
    ):
        assert not one.failed
    assert (tmp_path / "s2.begun").exists() and not began_third[0]


def test_stopping_stops_them_all(tmp_path: Path) -> None:
    def stop(seed: Seed, row: dict[str, Any]) -> None:
        if all((tmp_path / f"s{i}.begun").exists() for i in range(2)):
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(side_by_side(work, seeds(tmp_path, "endless", "endless", "well"), 2, stop))
    assert time.monotonic() - began < 100
    assert gone(tmp_path, "s0") and gone(tmp_path, "s1") and not (tmp_path / "s2.begun").exists()
