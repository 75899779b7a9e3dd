"""The stage `optimise`: run a config to its end, with metrics, checkpoints and a report; start it or resume it."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.pipeline import kinds
from plaudit.pipeline.kinds import AnyConfig, Run
from plaudit.runs import settings
from plaudit.runs.folder import RunFolder
from plaudit.runs.threads import threads
from plaudit.storage.backup import refuse_lost
from plaudit.storage.commands import Stopped
from plaudit.trackers.jsonl import JsonLines

Watch = Callable[[dict[str, Any]], None]


def start(config: AnyConfig, path: Path, watch: Watch) -> RunFolder:
    """A new run in a new folder."""
    config = kinds.settled(config)
    with threads(config.threads):
        folder = RunFolder.create(path, settings.dump(config), "optimise", config.seed)
        with folder.held():
            return _guarded(config, folder, watch)


def resume(path: Path, watch: Watch) -> RunFolder:
    """Go on with a run that was stopped or killed, from its newest checkpoint."""
    folder = RunFolder.open(path)
    manifest = folder.read_manifest()
    if manifest.get("status") == "finished":
        raise PlauditError(f"{path}: this run is finished; there is nothing to resume")
    refuse_lost(folder.feedback)
    with folder.held():
        config = kinds.load(folder.config)
        with threads(config.threads):
            folder.write_manifest({"status": "running", "error": None, "obeys_after": None})
            return _guarded(config, folder, watch)


def _guarded(config: AnyConfig, folder: RunFolder, watch: Watch) -> RunFolder:
    try:
        _run(config, folder, watch)
    except KeyboardInterrupt:
        _note(folder, {"status": "stopped"})
        raise KeyboardInterrupt(f"{folder.path}: stopped; go on with: plaudit resume {folder.path}") from None
    except Stopped:
        _note(folder, {"status": "stopped"})
        raise PlauditError(
            f"{folder.path}: stopped by command; go on with: plaudit resume {folder.path}"
        ) from None
    except OSError as error:
        raise PlauditError(
            f"{folder.path}: {error.strerror}; free some space and go on with: plaudit resume {folder.path}"
        ) from error
    except PlauditError as error:
        _note(folder, {"status": "failed", "error": str(error)})
        raise
    return folder


def _note(folder: RunFolder, changes: dict[str, Any]) -> None:
    """Write to the manifest if the disk lets us: what stopped the run matters more."""
    with suppress(OSError):
        folder.write_manifest(changes)


def _run(config: AnyConfig, folder: RunFolder, watch: Watch) -> None:
    run = kinds.build(config, folder)
    try:
        tree = folder.load_checkpoint()
        if tree is None:
            run.begin(folder)
        else:
            _restore(run, tree, folder)
        folder.cut_metrics(run.state.updates)
        told = run.preferences.desk.commands.read if run.preferences is not None else 0
        folder.write_manifest({"resume": run.resume, "obeys_after": told, "from_update": run.state.updates})
        metrics = JsonLines(folder.metrics)
        try:
            _loop(run, folder, metrics, watch)
        finally:
            metrics.close()
        result = run.finish(folder)
        folder.write_manifest(
            {"status": "finished", "result": result, "finished": time.time(), "notes": sorted(run.notes)}
        )
    finally:
        run.close()


def _restore(run: Run, tree: Any, folder: RunFolder) -> None:
    try:
        run.load_state_dict(tree)
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise PlauditError(
            f"{folder.path}: its checkpoint does not fit {folder.config.name} ({' '.join(str(error).split())}); "
            "put the config back as it was"
        ) from error


def _loop(run: Run, folder: RunFolder, metrics: JsonLines, watch: Watch) -> None:
    state = run.state
    before = next((row.get("time/seconds") or 0.0 for row in reversed(list(folder.rows()))), 0.0)
    began = time.perf_counter() - before
    while not run.done:
        row = run.tick()
        row = {"update": state.updates, "decisions": state.decisions} | row
        row["time/seconds"] = time.perf_counter() - began
        metrics.write(row)
        watch(row)
        if state.updates % run.config.checkpoint_every == 0 or run.done:
            _keep(run, folder, metrics)
        try:
            if run.preferences is not None:
                run.preferences.desk.commands.obey()
        except Stopped:
            _keep(run, folder, metrics)
            raise


def _keep(run: Run, folder: RunFolder, metrics: JsonLines) -> None:
    metrics.sync()
    folder.save_checkpoint(run.state.updates, run.state_dict())
