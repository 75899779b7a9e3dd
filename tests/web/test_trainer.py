"""What people are told about the trainer, and when nothing more will come."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from plaudit.runs import settings
from plaudit.stages import demo
from plaudit.web.trainer import Metrics, Trainer
from tests.web.asking import Site, Someone, pair


@pytest.fixture(autouse=True)
def look_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaudit.web.trainer.FRESH_SECONDS", 0.0)


def about(site: Site, **changes: Any) -> None:
    (site.state.folder.path / "manifest.json").write_text(
        json.dumps({"stage": "optimise", "status": "running"} | changes)
    )


def configure(site: Site, **feedback: Any) -> None:
    found = {"steps": 10, "feedback": {"people": [], "patience": 60.0} | feedback}
    (site.state.folder.path / "config.yaml").write_text(yaml.safe_dump(found))


def trainer(site: Site, seconds: float = 0.0) -> Trainer:
    """The trainer, looked at so long after the newest answer."""
    state = site.state
    now = (state.database.queue.last_at() or 0.0) + seconds
    return Trainer(state.database, state.folder, Metrics(state.folder.path / "metrics.jsonl"), lambda: now)


def update(site: Site, number: int, alone: float) -> None:
    """A row of metrics, as the trainer writes it."""
    with (site.state.folder.path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"update": number, "feedback/alone": alone}) + "\n")


@pytest.mark.parametrize(
    ("manifest", "state"),
    [
        ({}, "learning"),
        ({"stage": "label"}, "label"),
        ({"status": "finished"}, "over"),
        ({"status": "stopped"}, "over"),
        ({"status": "failed"}, "over"),
        ({"status": "waiting"}, "down"),
    ],
    ids=str,
)
def test_states_that_the_manifest_tells(site: Site, ann: Someone, manifest: dict, state: str) -> None:
    about(site, **manifest)
    assert ann.get("/api/me").json()["state"] == state
    assert ann.post("/api/tasks", {"count": 1}).json()["state"] == state


def test_a_killed_trainer_is_down(site: Site, ann: Someone) -> None:
    (site.state.folder.path / "lock").touch()
    assert ann.get("/api/me").json()["state"] == "down"


def test_a_wish_to_pause_is_told_until_it_goes_on(site: Site, root: Someone, ann: Someone) -> None:
    for kind, state in (("pause", "paused"), ("start", "learning")):
        root.post("/api/commands", {"kind": kind})
        assert ann.get("/api/me").json()["state"] == state


def test_the_run_goes_on_alone_once_its_patience_has_run_out(site: Site, ann: Someone) -> None:
    configure(site)
    ann.answer(ann.tasks()[0])
    assert trainer(site, 1e6).state() == "learning"  # it may learn for long, or rest: it would say so
    update(site, 1, 0.0)
    assert trainer(site, 1e6).state() == "learning"
    update(site, 2, 1.0)
    assert (trainer(site, 59).state(), trainer(site, 61).state()) == ("learning", "alone")
    about(site, from_update=2)  # the process that goes on is patient anew
    assert trainer(site, 61).state() == "learning"
    update(site, 3, 1.0)
    assert trainer(site, 61).state() == "alone"
    for task in [*ann.tasks(3), *ann.tasks(1, range(5))]:
        ann.answer(task)
    assert site.state.database.store.pending() == 0
    assert trainer(site, 61).state() == "learning"  # nobody is asked anything


def test_patience_is_read_as_the_trainer_writes_it(site: Site) -> None:
    text = yaml.safe_dump(settings.dump(demo.control_with_me(0)), sort_keys=False, allow_unicode=True)
    (site.state.folder.path / "config.yaml").write_text(text)
    assert site.state.folder.patience() == 60.0 and site.state.folder.budget()[0]


def test_the_run_page_is_told_too(site: Site, root: Someone) -> None:
    configure(site)
    found = root.get("/api/progress").json()
    assert (found["state"], found["patience"]) == ("learning", 60.0)


def test_wishes_of_before_a_restart_are_over(site: Site, root: Someone) -> None:
    def wish() -> Any:
        return trainer(site).wish()

    assert root.post("/api/commands", {"kind": "stop"}).status_code == 200
    assert wish() == "stop"
    about(site, obeys_after=None)  # starting: which wishes it has read is not known yet
    assert wish() is None
    refused = root.post("/api/commands", {"kind": "pause"})
    assert refused.status_code == 409 and "try again" in refused.json()["message"]
    about(site, obeys_after=1)
    assert wish() is None
    assert root.post("/api/commands", {"kind": "pause"}).status_code == 200
    assert wish() == "pause"


def test_one_look_serves_everybody_for_a_moment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaudit.web.trainer.FRESH_SECONDS", 60.0)
    seen = trainer(site)
    assert seen.state() == "learning"
    about(site, status="finished")
    assert seen.state() == "learning" and trainer(site).state() == "over"


def more(who: Someone, count: int = 3, besides: Any = ()) -> bool:
    return who.post("/api/tasks", {"count": count, "besides": list(besides)}).json()["more"]


@pytest.mark.parametrize(
    "ended", [{"stage": "label"}, {"status": "finished"}, {"status": "stopped"}], ids=str
)
def test_nothing_more_comes_once_a_person_has_all_that_is_left(
    site: Site, ann: Someone, bob: Someone, ended: dict
) -> None:
    about(site, **ended)
    assert more(ann)  # 1, 2 and 3 are hers: there may be more
    assert more(bob)  # 4 and 5 are his; the first three may come back
    assert not more(ann, 2, [1, 2, 3, 4, 5])
    held = ann.tasks(3)
    for task in held:
        ann.answer(task)
    assert more(ann)  # Bob may give his back
    for task in bob.tasks(2):
        bob.answer(task)
    assert not more(ann) and not more(bob)


def test_more_may_come_while_a_trainer_asks(site: Site, ann: Someone) -> None:
    for count in (3, 2):
        for task in ann.tasks(count):
            ann.answer(task)
    assert more(ann)
    about(site, status="finished")
    assert not more(ann)


def test_what_is_wanted_from_others_is_nothing_for_who_has_answered(site: Site, ann: Someone) -> None:
    about(site, stage="label")
    site.state.database.store.enqueue([pair(site.state.tasks.artifacts, 9, wanted=2)])
    for count in (3, 3):
        for task in ann.tasks(count):
            ann.answer(task)
    assert site.state.database.store.pending() == 1
    assert not more(ann)


@pytest.mark.slow
def test_a_trainer_says_which_wishes_it_obeys(tmp_path: Path) -> None:
    """A stop from before is not obeyed by the process that goes on, and the pages do not speak of it."""
    wanted = settings.load_yaml(Path(demo.__file__).with_name("demo_control.yaml"))
    wanted |= {"timesteps": 12_800}
    wanted["feedback"] = wanted["feedback"] | {"labels": 8, "first": 8}
    path, run = tmp_path / "config.yaml", tmp_path / "run"
    path.write_text(yaml.safe_dump(wanted))
    words = [sys.executable, "-m", "plaudit.cli.main"]
    code = (
        "import sys, pathlib\n"
        "from plaudit.runs import config\nfrom plaudit.stages import optimise\n"
        "from plaudit.storage import open_store\n"
        "folder = pathlib.Path(sys.argv[2])\n"
        "def watch(row):\n"
        "    if row['update'] == 1: open_store(folder / 'feedback.db').command('stop', {})\n"
        "optimise.start(config.load(pathlib.Path(sys.argv[1])), folder, watch)\n"
    )
    stopped = subprocess.run(
        [sys.executable, "-c", code, path, run], capture_output=True, text=True, timeout=120
    )
    assert "stopped by command" in stopped.stderr, stopped.stderr
    first = json.loads((run / "manifest.json").read_text())
    assert (first["status"], first["obeys_after"], first["from_update"]) == ("stopped", 0, 0)
    done = subprocess.run([*words, "resume", str(run)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    then = json.loads((run / "manifest.json").read_text())
    assert (then["obeys_after"], then["from_update"]) == (1, 1)
