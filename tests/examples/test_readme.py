"""The README is a program: its commands and its Python run, in order, and the Chinese one says the same."""

import os
import re
import shlex
import shutil
from io import StringIO
from pathlib import Path

import pytest
import torch

from plaudit.cli import main as cli
from plaudit.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
LANGUAGES = ("README.md", "README.zh.md")
SMALL = {
    "run": [
        "--timesteps",
        "6400",
        "--feedback.labels",
        "8",
        "--feedback.first",
        "8",
        "--evaluate_count",
        "2",
    ],
    "optimise": ["--timesteps", "1024", "--evaluate_count", "2"],
    "reward": ["--folds", "2", "--fit.first_steps", "5"],
    "evaluate": ["--episodes", "2"],
}
"""Flags that make a command quick; all else is as the README has it."""
QUICK = {
    "dpo": "--environment.max-new-tokens 4 --evaluate-count 2",
    "stories.txt": "--new.layers 1 --new.width 16 --new.heads 2 --new.vocabulary 300 --trainer.steps 2",
    "demonstrations.jsonl": "--trainer.steps 2",
    "pairs.jsonl": "--fit.first_steps 5",
    "prompts.jsonl": "--updates 1 --environment.batch-size 8 --environment.max-new-tokens 4 --evaluate-count 2",
    "runs/ppo-lm": "--count 2",
}
"""The same for language, by a word of the command."""
ELSEWHERE = ("demo", "resume", "label", "serve", "restore")
"""Commands that have their own tests; nothing was stopped or lost here."""


def quick(line: list[str]) -> list[str]:
    """The command with flags that make it quick."""
    for word, flags in QUICK.items():
        if word in line and line[0] not in ("sample", "chat"):
            return [*line, *flags.split()]
    return [*line, *SMALL.get(line[0], [])] if "demonstrations.npz" not in line else line


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("plaudit ")]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the examples, as the repository has them."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.setattr("sys.stdin", StringIO(""))
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # some forty commands, on a machine that others use as well
def test_the_commands_run_in_order(desk, capsys):
    for line in commands("README.md"):
        if line[0] in ELSEWHERE or "runs/with-me" in line:
            continue
        status = cli.main(quick(line))
        said = capsys.readouterr()
        assert status == 0, f"plaudit {' '.join(line)}: {said.err}"
    assert (desk / "answers.jsonl").read_text(encoding="utf-8").count("\n") == 8


@pytest.mark.slow
def test_the_python_runs(desk):
    first, second = blocks("README.md", "python")
    small = (desk / "examples/pendulum_preferences.yaml").read_text(encoding="utf-8")
    for old, new in (("198400", "6400"), ("labels: 200", "labels: 8"), ("first: 50", "first: 8")):
        assert old in small
        small = small.replace(old, new)
    (desk / "examples/pendulum_preferences.yaml").write_text(small, encoding="utf-8")
    exec(compile(first, "README.md", "exec"), {})
    assert cli.main(["export", "runs/pendulum", "--to", "answers.jsonl"]) == 0
    assert "learn(100_000, " in second
    exec(compile(second.replace("learn(100_000, ", "learn(512, "), "README.md", "exec"), {})
    assert (desk / "better").exists()


def test_every_command_is_told_and_exists():
    told = {line[0] for line in commands("README.md")}
    assert told == set(COMMANDS)


def test_both_languages_say_the_same():
    """Commands, code, figures, links: everything that is not prose."""
    english, chinese = LANGUAGES
    assert commands(english) == commands(chinese)
    code = [re.sub(r"\s*#.*", "", "\n".join(blocks(page, "python"))) for page in LANGUAGES]
    assert code[0] == code[1]
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in LANGUAGES]
    headings = [[len(mark) for mark in re.findall(r"^(#+) ", text, re.MULTILINE)] for text in texts]
    assert headings[0] == headings[1]
    figures = [
        re.findall(r"-?\d[\d,.]*\d|\d", "\n".join(re.findall(r"^\|.*", text, re.MULTILINE))) for text in texts
    ]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("page", LANGUAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    assert targets
    for target in targets:
        assert os.path.exists(ROOT / target), f"{page} links to {target}, which does not exist"
