"""Metrics as JSON lines: the truth of a run; every other tracker is a copy."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class JsonLines:
    """Appends one line per row; a row is on its way to the disk when `write` returns."""

    def __init__(self, path: Path):
        self.file = path.open("a", encoding="utf-8")

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row. What is not a finite number becomes null: JSON has no NaN."""
        self.file.write(
            json.dumps({name: _finite(value) for name, value in row.items()}, ensure_ascii=False) + "\n"
        )
        self.file.flush()

    def sync(self) -> None:
        """Return when all rows are on the disk: a checkpoint must not survive a loss of power that they do not."""
        os.fsync(self.file.fileno())

    def close(self) -> None:
        """Release the file."""
        self.file.close()


def _finite(value: object) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
