"""Runs side by side."""

import json
from pathlib import Path

from plaudit.stages import compare


def run(folder: Path, **result: float) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"status": "finished", "result": result}))
    return folder


def test_the_interval_of_a_share_stays_within_0_and_1(tmp_path: Path) -> None:
    """Two seeds alone give a t-interval that is wider than all there can be."""
    shares = [run(tmp_path / f"seed-{i}", win_rate=rate) for i, rate in enumerate((0.3, 0.8))]
    assert "win rate 0.550  0.000 to 1.000" in compare.table([shares])
    returns = [run(tmp_path / "c" / f"seed-{i}", return_mean=found) for i, found in enumerate((0.3, 0.8))]
    assert "true return 0.6  -2.6 to 3.7" in compare.table([returns])
