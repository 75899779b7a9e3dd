"""plaudit run --env: an environment without a config, by its id or by its class; and seeds side by side."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from plaudit.cli.main import main
from plaudit.seeds import seed_of
from tests.cli.test_bad_input import refused
from tests.cli.test_processes import at_row
from tests.processes import contents, differences, in_child, metrics

Run = Callable[..., tuple[int, str, str]]
TABLE = "tests.cli.two_goals:Table"
FILE = Path(__file__).parent / "two_goals.py"
QUICK = ("--environment.n-steps", 16, "--trainer.epochs", 1, "--evaluate-count", 2, "--policy.hidden", 8,
         "--environment.kwargs", "max_episode_steps=60")  # fmt: skip
TAUGHT = ("--labels", 20, "--reward.fit.first-steps", 5, "--reward.fit.steps", 2, "--feedback.segment", 8)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file in which every step is worth something, so that short runs teach something."""
    text = FILE.read_text(encoding="utf-8")
    judged = "float(np.linalg.norm(self.place - self.goal) < 0.25)"
    assert judged in text
    (tmp_path / "mine.py").write_text(text.replace(judged, "float(self.place[0])"), encoding="utf-8")
    return tmp_path / "mine.py"


def written(path: str) -> dict:
    return yaml.safe_load(Path(path, "config.yaml").read_text(encoding="utf-8"))


def test_it_says_what_it_chose_and_keeps_it(plaudit: Run) -> None:
    code, out, err = plaudit("run", "--env", TABLE, *QUICK, "--timesteps", 300, "--out", "r")
    assert code == 0 and "true return" in out, err
    said = err.splitlines()
    assert said[0].startswith(f"{TABLE}: 4 numbers of observation, discrete actions, a step limit of 60; ")
    assert any(re.fullmatch(r"  timesteps 150000: at most 8 numbers of observation", line) for line in said)
    made = written("r")
    assert made["environment"]["discount"] == 0.99 and made["trainer"]["minibatch_size"] == 256
    assert made["environment"]["n_steps"] == 16 and made["timesteps"] == 300  # a flag wins
    assert made["reward"]["weights"] == {"environment": 1.0, "learned": 0.0}


def test_its_config_repeats_it(plaudit: Run, mine: Path) -> None:
    argv = ("run", "--env", f"{mine}:Table", *QUICK, *TAUGHT, "--timesteps", 1200)
    assert plaudit(*argv, "--out", "r")[0] == 0
    assert plaudit("run", "r/config.yaml", "--out", "again")[0] == 0
    assert written("r") == written("again") and written("r")["environment"]["id"] == f"{mine}:Table"
    assert metrics(Path("r")) == metrics(Path("again")) and metrics(Path("r"))[-1]["feedback/labels"] > 0


def test_the_limit_is_kept_beside_other_arguments(plaudit: Run) -> None:
    code, _, err = plaudit(
        "run",
        "--env",
        TABLE,
        "--environment.kwargs",
        "wanted=1",
        *QUICK[:-2],
        "--timesteps",
        128,
        "--out",
        "r",
    )
    assert code == 0 and "environment.kwargs.max_episode_steps 1000: it has no step limit" in err, err
    assert written("r")["environment"]["kwargs"] == {"wanted": 1, "max_episode_steps": 1000}


def test_another_algorithm_has_settings_of_its_own(plaudit: Run) -> None:
    code, _, err = plaudit(
        "run",
        "--env",
        "CartPole-v1",
        "--algorithm",
        "trpo",
        "--timesteps",
        200,
        "--evaluate-count",
        1,
        "--out",
        "r",
    )
    assert code == 0 and "trainer.learning_rate" not in err, err
    assert written("r")["algorithm"] == "trpo" and written("r")["trainer"]["step"]["kind"] == "trust_region"


def test_a_file_is_found_from_anywhere(
    plaudit: Run, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run, killed, then resumed, evaluated and exported from another folder."""
    argv = ["run", "--env", "./mine.py:Table", *QUICK, *TAUGHT, "--timesteps", 2000, "--checkpoint-every", 1]
    argv = [str(item) for item in argv]
    kill = at_row(tmp_path / "r", 2, lambda child: os.kill(child, signal.SIGKILL))
    assert in_child(lambda: main([*argv, "--out", "r"]), tmp_path / "log", kill) == -9
    (tmp_path / "elsewhere").mkdir()
    assert plaudit(*argv, "--out", "whole")[0] == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, _, err = plaudit("resume", "../r")
    assert code == 0, err
    assert differences(contents(tmp_path / "r"), contents(tmp_path / "whole")) == []
    code, out, err = plaudit("evaluate", "../r", "--episodes", 3, "--json")
    assert code == 0 and np.isfinite(json.loads(out)["return_mean"]), err
    code, out, err = plaudit("export", "../r", "--to", "answers.jsonl")
    assert code == 0, err


def test_where_nothing_is_better_that_is_said(plaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "flat.py").write_text(
        FILE.read_text(encoding="utf-8").replace("there, bool(", "0.0, False and bool("), encoding="utf-8"
    )
    argv = ("run", "--env", "flat.py:Table", *QUICK, "--timesteps", 128, "--out", "r")
    code, _, err = plaudit(*argv)
    (note,) = [line for line in err.splitlines() if line.startswith("note: ")]
    assert code == 0 and "random steps was paid 0" in note and "--labels N" in note


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (
            ("--timesteps", "3"),
            "run: the first argument is the config file, or an environment is named by --env",
        ),
        (("--env",), "--env needs a value"),
        (("--env", TABLE, "--labels", "many"), "--labels: 'many' is not a whole number above 0"),
        (("--env", "CartPol-v1"), "did you mean 'CartPole-v1'?"),
        (("--env", "gone.py:Env"), "environment.id: there is no file 'gone.py'"),
        (
            ("--env", TABLE, "--labels", "9", "--timesteps", "99"),
            "hold 1 segments of 50 steps, which make 0 pairs",
        ),
        (("--env", TABLE, "--labels", "9", "--feedback.people", "[]"), "people judge clips, and"),
        (("--env", TABLE, "--labels", "9", "--feedback.people"), "--feedback.people needs a value"),
        (("--env", "CartPole-v1", "--seeds", "2", "--start", "gone"), "plaudit: gone: no model saved"),
        (("--env", TABLE, "--jobs", "2"), "--jobs: one seed is one process"),
        (("--env", TABLE, "--seeds", "2", "--jobs", "none"), "--jobs: 'none' is not a whole number"),
        (("--env", TABLE, "--environment.kwargs", "wantd=1"), "wantd"),
    ],
)
def test_bad_input(plaudit: Run, argv: tuple[str, ...], sentence: str) -> None:
    refused(plaudit("run", *argv), sentence)


def test_help_without_an_environment_being_made(plaudit: Run) -> None:
    code, out, _ = plaudit("run", "--env", "gone.py:Env", "--help")
    assert code == 0 and "--feedback.segment" in out and "--jobs M" in out
    code, out, _ = plaudit("run", "--help")
    assert code == 0 and "plaudit run --env ID [--labels N]" in out


def test_real_people_by_a_flag(plaudit: Run, tmp_path: Path) -> None:
    """As far as a config: a run would wait for them."""
    argv = (
        "optimise",
        "ppo",
        "--env",
        "CartPole-v1",
        "--feedback.people",
        "[]",
        "--timesteps",
        16,
        "--out",
        "r",
    )
    code, _, err = plaudit(*argv, "--evaluate-count", 1)
    assert code == 0 and written("r")["feedback"]["people"] == [], err


@pytest.mark.slow
def test_seeds_side_by_side_are_those_one_after_another(plaudit: Run, mine: Path, tmp_path: Path) -> None:
    """To the bit; killed with its processes and begun again it completes what is missing, and leaves what is there."""
    argv = ["run", "--env", f"{mine}:Table", *QUICK, "--timesteps", 3000, "--seeds", 3]
    argv = [str(item) for item in argv]
    assert plaudit(*argv, "--out", "serial")[0] == 0
    kill = at_row(tmp_path / "beside" / "seed-1", 2, lambda child: os.kill(child, signal.SIGKILL))
    beside = [*argv, "--jobs", "2", "--out", "beside"]
    assert in_child(lambda: main(beside), tmp_path / "log", kill) == -9
    again: tuple[int, str, str] = (1, "", "")
    for _ in range(20):  # what it had begun may take a moment to notice
        again = plaudit(*beside)
        if again[0] == 0:
            break
    code, out, err = again
    assert code == 0 and re.search(r"^beside +3 ", out, re.M), err
    for seed in range(3):
        one, other = (contents(tmp_path / name / f"seed-{seed}") for name in ("serial", "beside"))
        assert differences(one, other) == []
    first = (tmp_path / "beside" / "seed-0" / "manifest.json").read_bytes()
    assert plaudit(*beside)[0] == 0
    assert (tmp_path / "beside" / "seed-0" / "manifest.json").read_bytes() == first


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_seed_that_fails_is_told_and_the_others_are_there(plaudit: Run, tmp_path: Path, jobs: int) -> None:
    """Its environment breaks down for the second seed alone; mended, the same command completes it."""
    text = FILE.read_text(encoding="utf-8").replace(
        "super().reset(seed=seed)",
        "super().reset(seed=seed); bad = __import__('pathlib').Path(__file__).with_name('bad')\n"
        "        if bad.exists() and bad.read_text() == str(seed): raise OSError('the wheel came off')",
    )
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    argv = (
        "run",
        "--env",
        "mine.py:Table",
        *QUICK,
        "--timesteps",
        400,
        "--seeds",
        3,
        "--jobs",
        jobs,
        "--out",
        "r",
    )
    (tmp_path / "bad").write_text(str(seed_of(1, "environment")), encoding="utf-8")
    code, out, err = plaudit(*argv)
    assert code == 1 and "plaudit: seed 1: " in err and "the wheel came off" in err, err
    assert "seed 0: " not in "".join(line for line in err.splitlines() if line.startswith("plaudit: "))
    assert re.search(r"^r +2 ", out, re.M), out
    (tmp_path / "bad").unlink()
    code, out, err = plaudit(*argv)
    assert code == 0 and re.search(r"^r +3 ", out, re.M), err


@pytest.mark.learn
@pytest.mark.timeout(1800)
def test_an_environment_nobody_has_seen_is_learned_from_comparisons(plaudit: Run) -> None:
    """A minute or two: it goes to the goal that the judge wants and stays there, rather than at the other or off the
    table. It would get 1,000 at most, and random actions get about 5."""
    code, out, err = plaudit("run", "--env", TABLE, "--labels", 200, "--out", "r")
    assert code == 0, err
    manifest = json.loads(Path("r/manifest.json").read_text(encoding="utf-8"))
    assert manifest["result"]["return_mean"] > 800, out
    assert metrics(Path("r"))[-1]["feedback/labels"] <= 200
