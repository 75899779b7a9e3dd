"""Runs put together for a test, and one update of them."""

from pathlib import Path
from typing import Any

from plaudit.runs.config import RunConfig
from plaudit.runs.folder import RunFolder
from plaudit.stages.adapters import adapter_of


def build(config: RunConfig, path: Path) -> Any:
    """The task of a config in a new folder."""
    return adapter_of(config).task(config, RunFolder.create(path, {}, "optimise", 0))


def tick(task: Any) -> dict[str, Any]:
    """One step of the learner and what follows it, as the loop does it."""
    metrics = task.learner.step()
    return {"update": task.learner.updates} | metrics | task.after_step()
