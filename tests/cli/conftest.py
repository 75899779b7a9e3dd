"""The command as a function of its arguments, in an empty folder."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plaudit.cli import run
from plaudit.cli.main import main
from plaudit.runs.folder import RunFolder

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a report takes longer than these runs; `plaudit report` and tests/report draw real ones."""

    def write(folder: RunFolder, *_: object) -> Path:
        folder.report.write_text("a report", encoding="utf-8")
        return folder.report

    def quickly(name: str) -> Any:
        report = import_module(name)
        return SimpleNamespace(write_report=write, write_seeds_report=report.write_seeds_report)

    monkeypatch.setattr(run, "import_module", quickly)


@pytest.fixture
def plaudit(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Exit status, stdout and stderr of a command."""
    monkeypatch.chdir(tmp_path)

    def run(*argv: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([str(item) for item in argv])
        except SystemExit as stop:
            status = int(stop.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return run
