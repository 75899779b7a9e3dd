"""Imports go down only: the contracts of pyproject.toml hold, and would notice if they did not."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.reading import ROOT


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts of a root's pyproject.toml on the package in its src, whatever package is installed.

    The path is set inside the process: what an editable install puts on it comes before PYTHONPATH.
    """
    program = (
        f"import sys; sys.path.insert(0, {str(root / 'src')!r}); "
        "from importlinter.cli import lint_imports_command as run; run()"
    )
    command = [sys.executable, "-c", program]
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(
        [*command, "--no-cache", "--no-logo"], cwd=root, env=environment, capture_output=True, text=True
    )


def test_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, (
        f"{done.stdout[-4000:]}{done.stderr}\nThe contract's last lines say how to mend it."
    )


BREACHES = {
    "upwards": ("maths/gae.py", "import plaudit.trainers", "Imports go down only"),
    "unlisted": ("odds/__init__.py", "", "Imports go down only"),
    "impure": ("algorithms/ppo.py", "import numpy", "The formulas know torch"),
    "impure by a detour": ("maths/gae.py", "import plaudit.batches.rows", "The formulas know torch"),
    "trainer": ("trainers/on_policy.py", "from plaudit.algorithms import ppo", "Trainers know no algorithm"),
    "reward of a stage": ("rewards/control.py", "import plaudit.stages", "Imports go down only"),
    "heavy label": ("cli/label.py", "import torch", "Labelling and serving start without torch"),
    "heavy web": ("web/server.py", "import plaudit.models", "The web server never imports torch"),
}


def made_up_package(root: Path) -> Path:
    """A package that keeps the contracts: every layer, every module that a contract names, and nothing else."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    contracts = {contract["id"]: contract for contract in settings["contracts"]}
    package = root / "src" / "plaudit"
    for name in [name.strip() for layer in contracts["layers"]["layers"] for name in re.split("[:|]", layer)]:
        if not name.startswith("("):
            (package / name).mkdir(parents=True)
            (package / name / "__init__.py").touch()
    (package / "__init__.py").touch()
    shutil.rmtree(package / "errors")  # a module, not a package
    (package / "errors.py").touch()
    (package / "algorithms" / "ppo.py").touch()
    (package / "models" / "net.py").write_text("import torch\n")
    (package / "models" / "__init__.py").write_text("import plaudit.models.net\n")
    for module in contracts["light-commands"]["source_modules"]:
        (root / "src" / module.replace(".", "/")).with_suffix(".py").touch()
    return package


@pytest.mark.parametrize("breach", BREACHES)
def test_contracts_notice(breach: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = made_up_package(tmp_path)
    (package / "batches" / "rows.py").write_text("import numpy\n" if breach == "impure by a detour" else "")
    where, line, contract = BREACHES[breach]
    (package / where).parent.mkdir(exist_ok=True)
    (package / where).parent.joinpath("__init__.py").touch()
    (package / where).write_text(line + "\n")

    done = lint_imports(tmp_path)

    assert done.returncode != 0
    broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN")]
    assert len(broken) == 1 and broken[0].startswith(contract), done.stdout + done.stderr
