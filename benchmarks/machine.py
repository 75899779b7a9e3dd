"""What a measurement was made with: processor, versions, date."""

import datetime
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
EXAMPLES = Path(__file__).parents[1] / "examples"


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores, {names[0]}" if names else platform.machine()


def described(*packages: str) -> str:
    """One line: processor, system, versions of Python and of the packages that are installed, date."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"{processor()}; {platform.system()}; {', '.join(found)}; {today()}"


def today() -> str:
    """The date, as 2025-01-31."""
    return datetime.date.today().isoformat()


def merged(mapping: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The mapping with changes to single fields, at any depth."""
    result = dict(mapping)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result
