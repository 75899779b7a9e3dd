"""Runs that several tests of the report read."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from plaudit.report import write_report
from plaudit.runs import config
from plaudit.runs.folder import RunFolder
from plaudit.stages import optimise
from tests.report.made_language_run import FALLING, WATCHED, Made, make
from tests.report.pages import Page


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A language run with held-out judgements whose model of update 4 was kept."""
    return make(tmp_path_factory.mktemp("runs") / "run", Made(FALLING, kept=4, watched=WATCHED))


@pytest.fixture(scope="session")
def words(folder: RunFolder) -> str:
    """The text of its page."""
    return Page(write_report(folder).read_text(encoding="utf-8")).words


def run_small(path: Path, changes: dict[str, Any]) -> RunFolder:
    """A run of a few seconds."""
    environment = {"id": "Pendulum-v1", "envs": 4, "n_steps": 200}
    mapping = {"environment": environment, "timesteps": 3200} | changes
    return optimise.start(config.from_mapping(mapping, "test"), path, lambda row: None)


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with simulated people who have flaws."""
    feedback = {
        "labels": 60, "first": 20, "rounds": 2, "segment": 50,
        "people": [{"mistake": 0.2, "equal": 0.1, "skip": 0.2}, {}],
    }  # fmt: skip
    changes = {"reward": {"weights": {"environment": 0, "learned": 1}}, "feedback": feedback}
    return run_small(tmp_path_factory.mktemp("runs") / "asked", changes)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run without people."""
    changes = {"evaluate_every": 2, "evaluate_count": 4, "timesteps": 1600}
    return run_small(tmp_path_factory.mktemp("runs") / "plain", changes)


def stopped_control(path: Path) -> RunFolder:
    """A control run that stopped before its first checkpoint."""
    path.mkdir()
    folder = RunFolder(path)
    config = {
        "environment": {"id": "Pendulum-v1"},
        "algorithm": "ppo",
        "timesteps": 9,
        "feedback": {"labels": 50},
    }
    folder.config.write_text(yaml.safe_dump(config | {"reward": {"weights": {"learned": 1}}}))
    folder.manifest.write_text(json.dumps({"status": "stopped", "seed": 1}))
    rows = [{"update": i, "timesteps": i, "rollout/ep_rew_mean": -i, "feedback/labels": 30} for i in (1, 2)]
    folder.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def both(tmp_path: Path) -> list[RunFolder]:
    """A run of each kind."""
    return [stopped_control(tmp_path / "control"), make(tmp_path / "language")]
