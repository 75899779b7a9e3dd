"""People in the loop, for real: somebody answers on the page while a pendulum learns from nothing else."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from plaudit.rewards.control import from_bytes
from tests.web.browser.acting import press, question, sign_in, until
from tests.web.browser.conftest import NETWORK, Watch
from tests.web.browser.serving import RUN, FeedbackSession

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

LABELS = 60
CONFIG = {
    "environment": {"id": "Pendulum-v1", "envs": 32, "n_steps": 100},
    "timesteps": 198_400,
    "settings": {"discount": 0.97, "entropy_coef": 0.01},
    "trainer": {"learning_rate": 1e-3, "epochs": 10, "minibatch_size": 320},
    "reward": {"weights": {"environment": 0, "learned": 1}, "fit": {"subsample": 0.125}},
    "feedback": {"labels": LABELS, "first": 20, "rounds": 8, "ahead": 4, "people": []},
    "checkpoint_every": 1,
}


class Trainer:
    """The process that learns."""

    def __init__(self, folder: Path):
        self.folder, self.log = folder, folder.with_suffix(".log")
        self.process: subprocess.Popen[str] | None = None

    def go(self, *words: str) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN, *words], stdout=log, stderr=log, text=True, env=environment
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def test_a_pendulum_learns_from_somebody_at_the_page(
    tmp_path: Path, browse: Any, shoot: Any, watch: Watch
) -> None:
    watch.expected.append(NETWORK)  # the server is killed on the way
    folder, config = tmp_path / "run", tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    trainer = Trainer(folder)
    trainer.go("run", str(config), "--out", str(folder))
    try:
        until(lambda: (folder / "feedback.db").exists() or trainer.process.poll() is not None, 60)
        assert trainer.process.poll() is None, trainer.log.read_text()
        desk = FeedbackSession(folder)
        try:
            _answer(desk, trainer, browse, shoot)
            until(lambda: trainer.process.poll() is not None, 240)
            assert trainer.process.returncode == 0, trainer.log.read_text()
            _used_once(desk)
        finally:
            desk.close()
    finally:
        if trainer.process is not None and trainer.process.poll() is None:
            trainer.kill()
    result = json.loads((folder / "manifest.json").read_text())["result"]
    assert result["return_mean"] > -400  # a policy that has not learned has about -1200


def _answer(desk: FeedbackSession, trainer: Trainer, browse: Any, shoot: Any) -> None:
    """Answer every question by what it truly is about, which the page does not tell; both processes die once."""
    page, asked = browse(), {}

    def remember(response: Any) -> None:
        if response.url.endswith("/api/tasks") and response.ok:
            for task in response.json()["tasks"]:
                asked[str(task["query_id"])] = [option["sha256"] for option in task["options"]]

    page.on("response", remember)
    sign_in(page, desk.start())
    port = int(desk.address.rpartition(":")[2])
    shown = question(page)
    shoot(page, "live")
    for number in range(LABELS * 2):
        if _answered(desk) >= LABELS:
            break
        worth = [_worth(desk, option) for option in asked[shown]]
        press(page, "1" if worth[0] > worth[1] else "2")
        if number == 24:
            trainer.kill()
            trainer.go("resume", str(desk.folder))
        if number == 40:
            desk.kill()
            desk.start(port)
        until(lambda before=shown: _next(page, before) or _answered(desk) >= LABELS, 120)
        shown = page.get_attribute("#stage", "data-query") or shown
    assert _answered(desk) >= LABELS


def _next(page: Any, before: str) -> bool:
    shown = page.get_attribute("#stage", "data-query")
    return bool(shown) and shown != before


def _answered(desk: FeedbackSession) -> int:
    """Questions of the trainer that have a standing answer; repeats are the server's own."""
    asked = {query.id for query in desk.database.store.queries() if query.purpose == "train"}
    return len(asked & {response.query_id for response in desk.standing()})


def _worth(desk: FeedbackSession, option: str) -> float:
    return float(from_bytes(desk.artifacts.get(option)).environment_rewards.sum())


def _used_once(desk: FeedbackSession) -> None:
    """What the last update had learned from is every standing answer, each once."""
    standing = desk.standing()
    assert len({response.client_uuid for response in standing}) == len(standing)
    assert len({(response.query_id, response.annotator) for response in standing}) == len(standing)
    rows = [json.loads(line) for line in (desk.folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows] == list(range(1, len(rows) + 1))
    learned = [row["feedback/learned_from"] for row in rows if "feedback/learned_from" in row]
    assert learned == sorted(learned)
    assert rows[-1]["feedback/labels"] == learned[-1] == LABELS
