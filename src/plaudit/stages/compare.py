"""The stage `compare`: final results of runs side by side, mean and interval over seeds."""

from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.runs import old_names
from plaudit.runs.folder import RunFolder
from plaudit.runs.statistics import mean_interval


def members(path: Path) -> list[Path]:
    """The runs of an entry: the folder itself, or its seed-* folders."""
    if (path / "manifest.json").exists():
        return [path]
    seeds = sorted(path.glob("seed-*"), key=lambda p: p.name)
    if not seeds:
        raise PlauditError(f"{path}: neither a run nor a folder of seeds; give a folder a run was written to")
    return seeds


def table(entries: list[list[Path]]) -> str:
    """A line for each entry: runs, mean result and its 95 % t-interval, worst seed, labels, steps.

    The result is the final true return, for language the win rate over the model the run started from.
    """
    lines = [("run", "seeds", "result", "95 % interval", "worst seed", "labels", "steps", "seconds")]
    for paths in entries:
        results: list[float] = []
        last: dict[str, Any] = {}
        name = ""
        for path in paths:
            folder = RunFolder.open(path)
            manifest = folder.read_manifest()
            if manifest.get("status") != "finished":
                raise PlauditError(
                    f"{path}: this run is {manifest.get('status')}; finish it with: plaudit resume {path}"
                )
            found = manifest["result"]
            name = "return_mean" if "return_mean" in found else "win_rate"
            results.append(found[name])
            last = old_names.renamed(next(reversed(list(folder.rows())), {}))
        mean, low, high = mean_interval(results)
        if name == "win_rate":  # a share
            low, high = max(0.0, low), min(1.0, high)
        digits = 1 if name == "return_mean" else 3
        interval = f"{low:.{digits}f} to {high:.{digits}f}" if len(results) > 1 else "(one seed)"
        shown = "true return" if name == "return_mean" else "win rate"
        place = paths[0].parent if len(paths) > 1 else paths[0]
        labels = last.get("feedback/labels", 0)
        spent = next((last[name] for name in ("timesteps", "tokens", "step") if name in last), "")
        worst, seconds = f"{min(results):.{digits}f}", f"{last.get('time/seconds', 0):.0f}"
        mean_of = f"{shown} {mean:.{digits}f}"
        lines.append(
            (str(place), str(len(results)), mean_of, interval, worst, str(labels), str(spent), seconds)
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
