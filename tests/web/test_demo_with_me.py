"""`plaudit demo --me`: the pages are there soon, with a question on them, and one Ctrl-C ends it all."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.web.processes import Server

WORDS = [sys.executable, "-m", "plaudit.cli.main", "demo", "--me", "--no-browser", "--out", "demo"]

AIMS = {"pendulum": "standing upright", "backflip": "further over backwards"}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["pendulum", "backflip"])
def test_the_first_question_and_the_end(tmp_path: Path, task: str) -> None:
    if task == "backflip":
        pytest.importorskip("mujoco")
    began = time.monotonic()
    with open(tmp_path / "said", "w+") as said:
        process = subprocess.Popen(
            [*WORDS, "--task", task],
            stdout=said,
            stderr=said,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,
        )
        try:
            link = _link(process, tmp_path / "said")
            with closing(Server(process, link.group(1), link.group(2)).client()) as me:
                assert AIMS[task] in _question(me)
            assert time.monotonic() - began < 60
            child = json.loads((tmp_path / "demo" / "server.json").read_text())["process"]
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            assert process.wait(30) == 130
        finally:
            if process.poll() is None:
                process.kill()
    rest = (tmp_path / "said").read_text().partition(link.group())[2].strip()
    assert rest == "plaudit: demo: stopped; go on with: plaudit resume demo"
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def _link(process: subprocess.Popen[str], said: Path) -> re.Match[str]:
    while process.poll() is None:
        if found := re.search(r"(http://[^\s/]+)/join\S*#(\S+)", said.read_text()):
            return found
        time.sleep(0.1)
    raise AssertionError(said.read_text())


def _question(me: httpx2.Client) -> str:
    """Wait until somebody is asked something; what that is."""
    while not (tasks := me.post("/api/tasks", json={"count": 1}).json()["tasks"]):
        time.sleep(0.2)
    return tasks[0]["question"]
