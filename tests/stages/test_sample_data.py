"""Small files to try the commands with: they are there, they are what they say, and nothing is overwritten."""

from pathlib import Path

import numpy as np
import pytest

from plaudit.annotators import rubric
from plaudit.cli import main as cli
from plaudit.environments.control.config import Control
from plaudit.environments.control.look import look
from plaudit.environments.language import service
from plaudit.errors import PlauditError
from plaudit.readers.arrays import read_demonstrations
from plaudit.readers.lines import read_lines
from plaudit.readers.texts import read_text_pairs
from plaudit.rewards import functions
from plaudit.runs import algorithms
from plaudit.stages import sample_data


def test_all_of_them_and_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sample-data", str(tmp_path / "one")]) == 0
    told = capsys.readouterr().out
    written = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert all(name in told for name in written) and len(written) == len(told.splitlines()) == 8
    sample_data.write(tmp_path / "two")
    other = {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert {n: d for n, d in written.items() if n[-1] != "z"} == {
        n: d for n, d in other.items() if n[-1] != "z"
    }
    shown = read_demonstrations(tmp_path / "one/demonstrations.npz")
    again = read_demonstrations(tmp_path / "two/demonstrations.npz")
    assert np.array_equal(shown.observations, again.observations) and np.array_equal(
        shown.actions, again.actions
    )
    assert shown.starts.sum() == sample_data.EPISODES and shown.returns is not None
    assert shown.returns.min() > 300  # a steady hand


def test_the_better_answer_is_better(tmp_path: Path) -> None:
    sample_data.write(tmp_path)
    pairs = read_text_pairs(tmp_path / "pairs.jsonl")
    assert len(pairs) == sample_data.CASES
    facts = {case.prompt: case.facts for case in service.cases(20_000, np.random.default_rng(1))}
    known = [pair for pair in pairs if pair.prompt in facts]
    assert len(known) > 20
    for pair in known:
        better, worse = (
            rubric.score(str(text), facts[str(pair.prompt)]) for text in (pair.chosen, pair.rejected)
        )
        assert better > worse
    assert {frozenset(row) for row in read_lines(tmp_path / "prompts.jsonl")} == {frozenset({"prompt"})}


def test_the_environment_the_algorithm_and_the_reward_are_found(tmp_path: Path) -> None:
    sample_data.write(tmp_path)
    seen = look(Control(f"{tmp_path / 'table.py'}:Table"))
    assert seen.observation == 4 and seen.limit is None
    assert algorithms.find(str(tmp_path / "mine.py")).Config().value_coef == 0.5
    assert functions.load(f"{tmp_path / 'rewards.py'}:short")(["a"], ["four"]) == [-0.04]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("precious")
    with pytest.raises(PlauditError, match=r"mine\.py: exists already; give another folder"):
        sample_data.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]
    assert cli.main(["sample-data", "a", "b"]) == cli.main(["sample-data", "--seed"]) == 1
