"""A kind of feedback is its file, its likelihood and its page, and nothing else of the package knows of it.

The three files lie beside this one, in `strength`; they are put into a copy of the package, and what runs there is what
runs here.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import plaudit

FILES = Path(__file__).parent / "strength"
RUN = """
environment: {id: Pendulum-v1, envs: 4, n_steps: 50}
algorithm: ppo
timesteps: 1000
reward: {weights: {environment: 0, learned: 1}}
feedback:
  labels: 24
  first: 12
  rounds: 2
  segment: 10
  kinds: {strength: 1, comparison: 1}
  people: [{beta: 2.0}, {beta: 0.0}]
evaluate_count: 4
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Where the package lies that has one kind more."""
    here = Path(plaudit.__file__).parent
    there = tmp_path / "src" / "plaudit"
    shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(FILES / "kind.py", there / "feedback" / "strength.py")
    shutil.copy(FILES / "likelihood.py", there / "likelihoods" / "strength.py")
    shutil.copy(FILES / "ask-strength.js", there / "web" / "static" / "ask-strength.js")
    return tmp_path / "src"


def python(package: Path, *arguments: str) -> str:
    """What a command of that package says."""
    told = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"},
        cwd=package.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


@pytest.mark.slow
def test_it_is_asked_learned_exported_and_learned_from_again(package: Path) -> None:
    (package.parent / "run.yaml").write_text(RUN)
    python(package, "-m", "plaudit.cli.main", "run", "run.yaml", "--out", "run")
    lines = (package.parent / "run" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert max(row.get("feedback/labels", 0) for row in rows) == 24
    assert any("reward/held_out_strength_accuracy" in row for row in rows)
    assert any(name.startswith("people/reliability/") for row in rows for name in row)
    python(package, "-m", "plaudit.cli.main", "export", "run", "--to", "said.jsonl")
    said = [json.loads(line) for line in (package.parent / "said.jsonl").read_text().splitlines()]
    strengths = [row for row in said if row["kind"] == "strength"]
    assert len(strengths) == 12 and all(row["strength"] in range(-3, 4) for row in strengths)
    assert all(len(row["segments"]) == 2 for row in strengths)
    python(
        package,
        "-m",
        "plaudit.cli.main",
        "reward",
        "said.jsonl",
        "--out",
        "reward",
        "--folds",
        "2",
        "--repeats",
        "1",
    )
    assert json.loads((package.parent / "reward" / "plaudit.json").read_text())["about"]["answers"] == 24
    python(package, "-m", "plaudit.cli.main", "report", "run")


@pytest.mark.slow
def test_questions_of_it_are_made_and_the_page_is_told(package: Path) -> None:
    (package.parent / "items.jsonl").write_text(
        json.dumps({"prompt": "Why?", "first": "because", "second": "so"}) + "\n"
    )
    code = (
        "from pathlib import Path; from plaudit.stages.label import Items, prepare; "
        "print(prepare(Items(Path('items.jsonl'), 'strength'), Path('labels'))); "
        "from plaudit.web.routes.pages import askable; print(askable())"
    )
    assert (
        python(package, "-c", code) == "(1, 0)\n['binary', 'comparison', 'ranking', 'rating', 'strength']\n"
    )
