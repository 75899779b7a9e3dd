"""Runs from the command line that are stopped, killed, resumed and short of disk."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from plaudit.cli.main import main
from plaudit.trackers.console import ProgressBar
from tests.processes import contents, differences, in_child, metrics

Run = Callable[..., tuple[int, str, str]]
CARTPOLE = {
    "environment": {"id": "CartPole-v1", "envs": 8, "n_steps": 16},
    "timesteps": 12_800,
    "trainer": {"epochs": 2, "minibatch_size": 64},
    "policy": {"hidden": [8]},
    "evaluate_count": 2,
    "checkpoint_every": 3,
}
PENDULUM = {
    "environment": {"id": "Pendulum-v1", "envs": 8, "n_steps": 50},
    "timesteps": 2400,
    "trainer": {"epochs": 1, "minibatch_size": 256},
    "policy": {"hidden": [8]},
    "reward": {"weights": {"learned": 1}, "model": {"hidden": [6]}, "fit": {"first_steps": 6, "steps": 3}},
    "feedback": {"labels": 24, "first": 6, "rounds": 4, "until": 0.9, "segment": 20},
    "evaluate_count": 2,
    "checkpoint_every": 2,
}  # fmt: skip


def written(folder: Path, mapping: dict[str, Any], **changes: Any) -> str:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(mapping | changes))
    return str(path)


def at_row(path: Path, number: int, do: Callable[[int], Any]) -> Callable[[int], None]:
    """Do something to a process as soon as so many rows of metrics are there."""

    def meanwhile(child: int) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            file = path / "metrics.jsonl"
            if file.exists() and file.read_bytes().count(b"\n") >= number:
                return do(child)
            time.sleep(0.002)
        raise AssertionError(f"{path} never had {number} rows")

    return meanwhile


@pytest.mark.slow
def test_stopped_and_killed_at_any_moment(plaudit: Run, tmp_path: Path) -> None:
    """A process of its own, Ctrl-C, then kill -9 twice at random moments; what comes out is what one run gives."""
    config, run, log = written(tmp_path, CARTPOLE, timesteps=19_200), tmp_path / "r", tmp_path / "log"
    moments = random.Random()

    def stop(child: int) -> None:
        os.kill(child, signal.SIGSTOP)  # or on a busy machine it is done before anybody tries
        try:
            code, _, err = plaudit("resume", "r")  # somebody else tries to go on with it
            assert code == 1 and "r: another process is working on this run" in err, err
        finally:
            os.kill(child, signal.SIGINT)
            os.kill(child, signal.SIGCONT)

    def kill(child: int) -> None:
        time.sleep(moments.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)

    command = [sys.executable, "-m", "plaudit.cli.main", "run", config, "--out", "r"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ) as process:
        at_row(run, 4, lambda _: stop(process.pid))(process.pid)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert (
        err.splitlines()[-1] == "plaudit: r: stopped; go on with: plaudit resume r" and "Traceback" not in err
    )
    for number in (20, 50):
        assert in_child(lambda: main(["resume", "r"]), log, at_row(run, number, kill)) == -9, log.read_text()
    assert 50 <= len(metrics(run)) < 150
    assert plaudit("resume", "r")[0] == 0
    assert plaudit("run", config, "--out", "whole")[0] == 0
    assert differences(contents(tmp_path / "whole"), contents(run)) == []


@pytest.mark.slow
def test_resume_from_another_folder(plaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in a config are those of where the run began; an environment's module is found again."""
    (tmp_path / "mine.py").write_text(
        "from plaudit.algorithms.on_policy.ppo import Config, advantages, loss, needs\n"
    )
    name = "tests.cli.broken_environments:None-v0"
    short = (
        "--env",
        name,
        "--environment.n-steps",
        8,
        "--evaluate-count",
        1,
        "--trainer.epochs",
        1,
        "--checkpoint-every",
        1,
    )
    assert plaudit("optimise", "./mine.py", *short, "--timesteps", 64, "--out", "first")[0] == 0
    near = ("--start", "first/policy", "--reference", "first/policy", "--settings.kl.coef", "0.1")
    argv = [str(item) for item in ("optimise", "./mine.py", *short, *near, "--timesteps", 6400, "--out", "r")]
    kill = at_row(tmp_path / "r", 2, lambda child: os.kill(child, signal.SIGKILL))
    assert in_child(lambda: main(argv), tmp_path / "log", kill) == -9, (tmp_path / "log").read_text()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, out, err = plaudit("resume", "../r")
    assert code == 0 and "true return" in out, err


@pytest.mark.slow
def test_several_seeds_go_on_by_the_same_command(plaudit: Run, tmp_path: Path) -> None:
    config = written(tmp_path, CARTPOLE, timesteps=3200)
    command = ["run", config, "--seeds", "3", "--out", "all"]
    kill = at_row(tmp_path / "all" / "seed-1", 9, lambda child: os.kill(child, signal.SIGKILL))
    assert in_child(lambda: main(command), tmp_path / "log", kill) == -9, (tmp_path / "log").read_text()
    assert not (tmp_path / "all" / "seed-2").exists()
    first = (tmp_path / "all" / "seed-0" / "manifest.json").read_bytes()
    code, _, err = plaudit("resume", "all")
    assert code == 1 and "give the command that began them again" in err
    code, _, err = plaudit(*command, "--environment.n-steps", 32)
    assert code == 1 and "seed-0: a run with another config is here already" in err
    code, out, err = plaudit(*command)
    assert code == 0 and "all  " in out, err
    assert (tmp_path / "all" / "seed-0" / "manifest.json").read_bytes() == first
    assert plaudit("run", config, "--seed", 1, "--out", "one")[0] == 0
    assert differences(contents(tmp_path / "one"), contents(tmp_path / "all" / "seed-1")) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of six megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and sys.platform == "linux"
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)], capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("a full disk takes a mount of its own: run as root on Linux")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> None:
    """To the last byte."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


@pytest.mark.parametrize(
    ("what", "mapping", "changes", "update"),
    [
        ("metrics", CARTPOLE, {"checkpoint_every": 100, "timesteps": 12_800}, 3),
        ("checkpoint", CARTPOLE, {"checkpoint_every": 1, "timesteps": 1280}, 4),
        ("feedback", PENDULUM, {"checkpoint_every": 100}, 1),
    ],
)
@pytest.mark.slow
def test_a_full_disk(
    plaudit: Run, tmp_path: Path, small_disk: Path, what: str, mapping: Any, changes: Any, update: int
) -> None:
    """One sentence, nothing lost: with some space again, resume comes to what an undisturbed run gives."""
    config, run, log = written(tmp_path, mapping, **changes), small_disk / "r", tmp_path / "log"

    def work() -> int:
        write = ProgressBar.write

        def full_from_now(self: Any, row: Any) -> None:
            write(self, row)
            if row["update"] == update:
                fill(small_disk)

        ProgressBar.write = full_from_now  # type: ignore[method-assign]
        return main(["run", config, "--out", str(run)])

    assert in_child(work, log) == 1
    said = [line for line in log.read_text().splitlines() if line.startswith("plaudit: ")]
    assert len(said) == 1 and "Traceback" not in log.read_text(), log.read_text()
    assert "No space left on device" in said[0] or "the disk is full" in said[0]
    assert str(run) in said[0] and "free some space" in said[0]
    before = metrics_of_whole_lines(run)
    assert len(before) >= update
    (small_disk / "filler").unlink()
    code, _, err = plaudit("resume", run)
    assert code == 0, err
    assert plaudit("run", config, "--out", tmp_path / "whole")[0] == 0
    assert differences(contents(tmp_path / "whole"), contents(run)) == []


def metrics_of_whole_lines(run: Path) -> list[bytes]:
    return (run / "metrics.jsonl").read_bytes().split(b"\n")[:-1]


@pytest.mark.parametrize("said", ["--source", "--help"])
@pytest.mark.slow
def test_a_reader_that_goes_away(said: str) -> None:
    """plaudit ... | head: no traceback, no word about a broken pipe."""
    command = f"set -o pipefail; {sys.executable} -m plaudit.cli.main optimise ppo {said} | head -c 1"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout) == 1
