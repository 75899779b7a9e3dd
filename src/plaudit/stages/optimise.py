"""The stage `optimise`: run a config to its end, with metrics, checkpoints and a report; start it or resume it.

The loop knows a `Learner` and a `Task` around it, and neither algorithms nor media.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.runs import config as configs
from plaudit.runs import settings
from plaudit.runs.config import RunConfig
from plaudit.runs.folder import RunFolder
from plaudit.runs.old_checkpoints import as_it_is
from plaudit.runs.streams import threads
from plaudit.stages.adapters import adapter_of
from plaudit.stages.adapters.medium import Task
from plaudit.storage.backup import refuse_lost
from plaudit.storage.store import Stopped
from plaudit.trackers.jsonl import JsonLines

Watch = Callable[[dict[str, Any]], None]


def start(config: RunConfig, path: Path, watch: Watch) -> RunFolder:
    """A new run in a new folder."""
    config = configs.resolve_paths(configs.validate(config))
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
        config = configs.load(folder.config)
        with threads(config.threads):
            folder.write_manifest({"status": "running", "error": None, "obeys_after": None})
            return _guarded(config, folder, watch)


def _guarded(config: RunConfig, folder: RunFolder, watch: Watch) -> RunFolder:
    try:
        with adapter_of(config).run_memory_explained():
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


def _run(config: RunConfig, folder: RunFolder, watch: Watch) -> None:
    task = adapter_of(config).task(config, folder)
    learner = task.learner
    try:
        tree = folder.load_checkpoint()
        if tree is None:
            task.begin(folder)
        else:
            _restore(task, as_it_is(tree, config), folder)
        folder.cut_metrics(learner.updates)
        told = 0 if task.session is None else task.session.commands.read
        folder.write_manifest({"resume": task.resume, "obeys_after": told, "from_update": learner.updates})
        metrics = JsonLines(folder.metrics)
        try:
            _loop(task, folder, metrics, watch)
        finally:
            metrics.close()
        result = task.finish(folder)
        folder.write_manifest(
            {"status": "finished", "result": result, "finished": time.time(), "notes": sorted(task.notes)}
        )
    finally:
        task.close()


def _restore(task: Task, tree: dict[str, Any], folder: RunFolder) -> None:
    try:
        task.learner.load_state_dict(tree["learner"])
        task.load_state_dict(tree["task"])
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise PlauditError(
            f"{folder.path}: its checkpoint does not fit {folder.config.name} ({' '.join(str(error).split())}); "
            "put the config back as it was"
        ) from error


def _loop(task: Task, folder: RunFolder, metrics: JsonLines, watch: Watch) -> None:
    learner = task.learner
    before = next((row.get("time/seconds") or 0.0 for row in reversed(list(folder.rows()))), 0.0)
    began = time.perf_counter() - before
    while not (learner.done or task.stopped):
        found = learner.step()
        row = {"update": learner.updates} | found | task.after_step()
        _refuse_nonsense(row, task.config.algorithm)
        row["time/seconds"] = time.perf_counter() - began
        metrics.write(row)
        watch(row)
        ended = learner.done or task.stopped
        if learner.updates % task.config.checkpoint_every == 0 or ended:
            _keep(task, folder, metrics)
        try:
            if task.session is not None:
                task.session.commands.obey()
        except Stopped:
            _keep(task, folder, metrics)
            raise


def _refuse_nonsense(row: dict[str, Any], algorithm: str) -> None:
    """A metric that is no number would get into the record of the run, and mean that something has gone wrong."""
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise PlauditError(
                f"{algorithm}: its metric {name} is {value} at update {row['update']}; learning has diverged, or the "
                "algorithm reports nonsense: lower trainer.learning_rate, or mend its file"
            )


def _keep(task: Task, folder: RunFolder, metrics: JsonLines) -> None:
    metrics.sync()
    tree = {"learner": task.learner.state_dict(), "task": task.state_dict()}
    folder.save_checkpoint(task.learner.updates, tree)
