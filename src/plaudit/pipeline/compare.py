"""The stage `compare`: final true returns of runs side by side, mean and interval over seeds."""

from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.pipeline.run_folder import RunFolder
from plaudit.pipeline.statistics import mean_interval


def members(path: Path) -> list[Path]:
    """The runs of an entry: the folder itself, or its seed-* folders."""
    if (path / "manifest.json").exists():
        return [path]
    seeds = sorted(path.glob("seed-*"), key=lambda p: p.name)
    if not seeds:
        raise PlauditError(f"{path}: neither a run nor a folder of seeds; give a folder a run was written to")
    return seeds


def table(entries: list[list[Path]]) -> str:
    """A line for each entry: runs, mean final true return and its 95 % t-interval, worst seed, labels, steps."""
    lines = [("run", "seeds", "true return", "95 % interval", "worst seed", "labels", "steps", "seconds")]
    for paths in entries:
        results, last = [], {}
        for path in paths:
            folder = RunFolder.open(path)
            manifest = folder.read_manifest()
            if manifest.get("status") != "finished":
                raise PlauditError(
                    f"{path}: this run is {manifest.get('status')}; finish it with: plaudit resume {path}"
                )
            results.append(manifest["result"]["return_mean"])
            last = next(reversed(list(folder.rows())), {})
        mean, low, high = mean_interval(results)
        interval = f"{low:.1f} to {high:.1f}" if len(results) > 1 else "(one seed)"
        name = paths[0].parent if len(paths) > 1 else paths[0]
        labels = last.get("feedback/labels", 0)
        lines.append((str(name), str(len(results)), f"{mean:.1f}", interval, f"{min(results):.1f}", str(labels),
                      str(last.get("decisions", "")), f"{last.get('time/seconds', 0):.0f}"))  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
