"""The stage `optimise`: run a config to its end, with metrics, checkpoints and a report; start it or resume it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from plaudit.errors import PlauditError
from plaudit.pipeline import saved, settings
from plaudit.pipeline.commands import Stopped
from plaudit.pipeline.config import RunConfig, load, settled
from plaudit.pipeline.control_run import ControlRun
from plaudit.pipeline.evaluate import true_returns
from plaudit.pipeline.run_folder import RunFolder, seed_of
from plaudit.trackers.jsonl import JsonLines

Watch = Callable[[dict[str, Any]], None]


def start(config: RunConfig, path: Path, watch: Watch) -> RunFolder:
    """A new run in a new folder."""
    config = settled(config)
    with _threads(config.threads):
        folder = RunFolder.create(path, settings.dump(config), "optimise", config.seed)
        with folder.held():
            return _guarded(config, folder, watch)


def resume(path: Path, watch: Watch) -> RunFolder:
    """Go on with a run that was stopped or killed, from its newest checkpoint."""
    folder = RunFolder.open(path)
    manifest = folder.read_manifest()
    if manifest.get("status") == "finished":
        raise PlauditError(f"{path}: this run is finished; there is nothing to resume")
    with folder.held():
        config = load(folder.config)
        with _threads(config.threads):
            folder.write_manifest({"status": "running", "error": None})
            return _guarded(config, folder, watch)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads of torch, whatever the surrounding program uses: another number gives other last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _guarded(config: RunConfig, folder: RunFolder, watch: Watch) -> RunFolder:
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


def _run(config: RunConfig, folder: RunFolder, watch: Watch) -> None:
    run = ControlRun(config, folder)
    try:
        tree = folder.load_checkpoint()
        if tree is None:
            saved.save_policy(folder.path / "policy-start", run.state.policy, config.environment)
        else:
            _restore(run, tree, folder)
        folder.cut_metrics(run.state.updates)
        folder.write_manifest({"resume": run.control.source.resume})
        metrics = JsonLines(folder.metrics)
        try:
            _loop(run, folder, metrics, watch)
        finally:
            metrics.close()
        _finish(run, folder)
    finally:
        run.close()


def _restore(run: ControlRun, tree: Any, folder: RunFolder) -> None:
    try:
        run.load_state_dict(tree)
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise PlauditError(
            f"{folder.path}: its checkpoint does not fit {folder.config.name} ({' '.join(str(error).split())}); "
            "put the config back as it was"
        ) from error


def _loop(run: ControlRun, folder: RunFolder, metrics: JsonLines, watch: Watch) -> None:
    config, state = run.config, run.state
    before = next((row.get("time/seconds") or 0.0 for row in reversed(list(folder.rows()))), 0.0)
    began = time.perf_counter() - before
    while state.decisions < config.steps:
        row = run.tick()
        row = {"update": state.updates, "decisions": state.decisions} | row
        if config.evaluate_every and state.updates % config.evaluate_every == 0:
            returns = true_returns(
                state.policy,
                config.environment,
                config.evaluate_episodes,
                seed_of(config.seed, "watch", state.updates),
            )
            row |= {"eval/return_mean": float(returns.mean()), "eval/return_std": float(returns.std())}
        row["time/seconds"] = time.perf_counter() - began
        metrics.write(row)
        watch(row)
        if state.updates % config.checkpoint_every == 0 or state.decisions >= config.steps:
            _keep(run, folder, metrics)
        try:
            run.obey()
        except Stopped:
            _keep(run, folder, metrics)
            raise


def _keep(run: ControlRun, folder: RunFolder, metrics: JsonLines) -> None:
    metrics.sync()
    folder.save_checkpoint(run.state.updates, run.state_dict())


def _finish(run: ControlRun, folder: RunFolder) -> None:
    """Save what was learned and say how good it is by the true return."""
    config = run.config
    saved.save_policy(folder.path / "policy", run.state.policy, config.environment)
    if run.preferences is not None:
        about = {"labels": run.preferences.labels, "fits": run.preferences.fits}
        saved.save_reward(folder.path / "reward", run.preferences.model, about)
    returns = true_returns(
        run.state.policy, config.environment, config.evaluate_episodes, seed_of(config.seed, "evaluation")
    )
    result = {
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
        "episodes": len(returns),
    }
    folder.write_manifest(
        {"status": "finished", "result": result, "finished": time.time(), "notes": sorted(run.notes)}
    )
