"""The run folder: config, manifest, metrics, feedback, checkpoints and report of one run."""

import fcntl
import hashlib
import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import yaml

from plaudit.errors import PlauditError
from plaudit.runs.checkpoint import load_tree, save_tree
from plaudit.storage.artifacts import write_whole

PACKAGES = ("plaudit", "torch", "numpy", "gymnasium", "mujoco", "box2d", "sqlalchemy", "transformers")


class RunFolder:
    """Paths and files of one run; every write is complete or absent, metrics are appended line by line."""

    def __init__(self, path: Path):
        self.path = path
        self.config, self.manifest = path / "config.yaml", path / "manifest.json"
        self.metrics, self.feedback = path / "metrics.jsonl", path / "feedback.db"
        self.artifacts, self.checkpoints = path / "artifacts", path / "checkpoints"
        self.report = path / "report.html"

    @classmethod
    def create(cls, path: Path, config: dict[str, Any], stage: str, seed: int) -> "RunFolder":
        """A new run; an existing one is never overwritten, unless it failed before there was anything in it."""
        folder = cls(path)
        if folder.manifest.exists() and not folder.empty():
            raise PlauditError(
                f"{path}: a run is here already; resume it (plaudit resume {path}) or choose another --out"
            )
        path.mkdir(parents=True, exist_ok=True)
        folder.manifest.unlink(missing_ok=True)
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        write_whole(folder.config, text)
        folder.write_manifest(
            {
                "stage": stage,
                "status": "running",
                "seed": seed,
                "threads": torch.get_num_threads(),
                "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
                "versions": _versions(),
                "platform": platform.platform(),
                "started": time.time(),
            }
        )
        return folder

    def empty(self) -> bool:
        """It failed, as a mistake in the config makes it, and nothing would be lost."""
        kept = self.feedback.exists() or self.checkpoints.exists() or any(self.rows())
        return not kept and self.read_manifest().get("status") == "failed"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else works on this run meanwhile; a process that is killed lets go by itself."""
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise PlauditError(
                    f"{self.path}: another process is working on this run; wait for it or stop it"
                ) from None
            yield

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """An existing run."""
        folder = cls(path)
        if not folder.manifest.exists():
            raise PlauditError(
                f"{path}: not a run folder (manifest.json is missing); give the folder a run was written to"
            )
        return folder

    def read_manifest(self) -> dict[str, Any]:
        """The manifest as it is now."""
        try:
            return _mapping(self.manifest.read_text(encoding="utf-8"))
        except ValueError as error:
            raise PlauditError(f"{self.manifest}: damaged ({error}); restore the file from a copy") from None

    def write_manifest(self, changes: dict[str, Any]) -> None:
        """Merge changes into the manifest."""
        current = self.read_manifest() if self.manifest.exists() else {}
        write_whole(self.manifest, json.dumps(current | changes, indent=2, ensure_ascii=False) + "\n")

    def rows(self) -> Iterator[dict[str, Any]]:
        """The metrics so far; a last line that a kill cut short is left out."""
        if not self.metrics.exists():
            return
        for number, line in enumerate(self.metrics.read_text(encoding="utf-8").split("\n")[:-1], 1):
            try:
                yield _mapping(line)
            except ValueError as error:
                raise PlauditError(
                    f"{self.metrics}, line {number}: damaged ({error}); mend or drop the line"
                ) from None

    def cut_metrics(self, updates: int) -> None:
        """Drop the rows after the given update: a resumed run writes them again."""
        kept = [json.dumps(row, ensure_ascii=False) for row in self.rows() if row["update"] <= updates]
        write_whole(self.metrics, "".join(line + "\n" for line in kept))

    def save_checkpoint(self, updates: int, tree: object) -> None:
        """Write checkpoint number `updates`; the two newest are kept."""
        save_tree(self.checkpoints / f"{updates:08d}", tree)
        for old in self._numbered()[:-2]:
            for file in old.iterdir():
                file.unlink()
            old.rmdir()

    def load_checkpoint(self) -> Any | None:
        """The newest complete checkpoint; none where the run was stopped before its first."""
        numbered = self._numbered()
        return load_tree(numbered[-1]) if numbered else None

    def _numbered(self) -> list[Path]:
        return sorted(path for path in self.checkpoints.glob("*") if path.is_dir() and path.name.isdigit())


def _mapping(text: str) -> dict[str, Any]:
    """A mapping in JSON; ValueError where the text is something else."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"a mapping is wanted, not {type(value).__name__}")
    return value


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
