"""The numbers of the run page against counts by hand; curves against rows."""

import fcntl
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plaudit.feedback import Comparison
from plaudit.storage import Artifacts, NewQuery, NewResponse
from plaudit.web.folder import Folder
from plaudit.web.trainer import Metrics, thinned
from tests.web.asking import Site, Someone, pair


def row(update: int, **metrics: Any) -> str:
    return json.dumps({"update": update, "timesteps": 100 * update, **metrics}) + "\n"


def test_people_are_counted_by_what_stands(site: Site, root: Someone, ann: Someone, bob: Someone) -> None:
    artifacts = Artifacts(site.state.folder.path / "artifacts")
    site.state.database.store.enqueue([pair(artifacts, 9, wanted=2)])
    for task in ann.tasks(3):
        ann.answer(task, "first")
    last = ann.get("/api/answers").json()["answers"][0]
    ann.answer(last["task"], "skip", supersedes=last["client_uuid"])
    (shared,) = ann.tasks(1, [4, 5])
    (same,) = bob.tasks(1, [4, 5])
    assert shared["query_id"] == same["query_id"] == 6
    best = shared["options"][0]["sha256"]
    ann.answer(shared, "first")
    bob.answer(same, "first" if same["options"][0]["sha256"] == best else "second")
    found = root.get("/api/progress").json()
    assert {name: found[name] for name in ("asked", "labels", "skipped", "queue")} == {
        "asked": 6,
        "labels": 5,
        "skipped": 1,
        "queue": 2,
    }
    assert [(person["name"], person["answered"]) for person in found["people"]] == [("Ann", 4), ("Bob", 1)]
    assert (found["between"]["pairs"], found["between"]["agree"]) == (1, 1)
    assert found["sides"]["decided"] == 4
    assert found["sides"]["first_shown"] == 3 + (same["options"][0]["sha256"] == best)
    assert found["agreement"] is None and found["title"] == "run" and found["mode"] == "run"


def test_agreement_is_of_what_was_asked_twice(site: Site, root: Someone, ann: Someone) -> None:
    """A person who always takes the left side disagrees with themselves; one who means it agrees."""
    store = site.state.database.store
    bob = site.let_in("Bob")
    store.enqueue(
        [NewQuery(f"n{i}", "comparison", (f"{i:064x}", f"{i + 1000:064x}"), 0, {}, 2) for i in range(25)]
    )
    for person, steady in ((ann, False), (bob, True)):
        for _ in range(22):
            (task,) = person.tasks(1, range(6))
            small = min(option["sha256"] for option in task["options"])
            person.answer(task, "first" if not steady or task["options"][0]["sha256"] == small else "second")
    found = root.get("/api/progress").json()["agreement"]
    assert found["repeats"] == len(site.state.database.queue.repeats()) >= 2
    assert found["agree"] == found["repeats"] // 2
    assert found["low"] < found["rate"] < found["high"]


def test_the_win_rate_is_of_the_held_out_comparisons(site: Site, root: Someone) -> None:
    store = site.state.database.store
    keys = {"held-out/10/0": 10, "held-out/10/1": 10, "held-out/20/0": 20, "held-out/20/1": 20}
    asked = [NewQuery(key, "comparison", ("a", "b"), update, {}) for key, update in keys.items()]
    ids = store.enqueue([replace(query, purpose="held_out") for query in asked])
    for id, said in zip(ids, ("first", "equal", "second", "skip"), strict=True):
        store.submit(NewResponse(str(id), id, "sim", Comparison(("a", "b"), said), ()))
    assert root.get("/api/progress").json()["series"]["win_rate"] == [[10, 0.75], [20, 0.0]]


def test_curves_follow_the_file_and_start_again_where_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = Metrics(path)
    assert metrics.read() is False and metrics.curve("kl", "update") == []
    path.write_text(
        row(1, **{"objective/kl": 0.5}) + row(2, **{"objective/kl": None}) + '{"update": 3, "deci'
    )
    assert metrics.read() is True
    assert metrics.curve("kl", "timesteps") == [[100, 0.5]] and metrics.last["update"] == 2
    with path.open("a") as file:
        file.write('sions": 300, "objective/kl": NaN}\n' + row(4, **{"objective/kl": 0.7}))
    metrics.read()
    assert metrics.curve("kl", "update") == [[1, 0.5], [4, 0.7]]
    fresh = tmp_path / "fresh"
    fresh.write_text(row(1, **{"objective/kl": 0.25}))
    fresh.replace(path)  # as a resumed run does
    metrics.read()
    assert metrics.curve("kl", "update") == [[1, 0.25]]


def test_the_true_return_is_of_evaluations_where_there_are_any(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(row(1, **{"rollout/ep_rew_mean": -900}))
    metrics = Metrics(path)
    metrics.read()
    assert metrics.curve("return", "update") == [[1, -900]]
    with path.open("a") as file:
        file.write(row(2, **{"rollout/ep_rew_mean": -800, "eval/return_mean": -700}))
    metrics.read()
    assert metrics.curve("return", "update") == [[2, -700]]


@pytest.mark.parametrize("count", [0, 1, 2, 399, 400, 401, 800, 1000])
def test_long_curves_are_thinned_out_and_keep_their_ends(count: int) -> None:
    points = [[float(i), 0.0] for i in range(count)]
    found = thinned(points)
    assert len(found) <= 400 and found[:1] == points[:1] and found[-1:] == points[-1:]
    assert found == points or count > 400


def test_the_stream_sends_what_progress_says_and_ends_with_the_server(site: Site, root: Someone) -> None:
    site.app.state.closing.set()
    closed = root.get("/api/progress/stream")
    assert closed.headers["content-type"].startswith("text/event-stream") and closed.text == ""
    site.app.state.closing.clear()
    with root.http.stream("GET", "/api/progress/stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: progress"
        data = next(lines).removeprefix("data: ")
        site.app.state.closing.set()
    assert json.loads(data)["labels"] == 0


def test_the_stream_ends_with_the_session(site: Site, root: Someone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaudit.web.routes.progress.LOOK_SECONDS", 0.05)
    other = site.let_in("Other", "admin")
    now, looks = site.state.progress.now, []

    def looked() -> dict[str, Any]:
        """The second look is the last one while the session is good."""
        looks.append(now())
        if len(looks) == 2:
            site.state.database.people.revoke(other.id)
        return looks[-1]

    monkeypatch.setattr(site.state.progress, "now", looked)
    assert other.get("/api/progress/stream").text.startswith("event: progress")  # and it ends
    assert len(looks) == 2
    assert other.get("/api/progress/stream").status_code == 401


def test_wishes_become_rows_while_a_trainer_runs(site: Site, root: Someone) -> None:
    for kind in ("pause", "start", "stop"):
        assert root.post("/api/commands", {"kind": kind}).json()["kind"] == kind
    assert [command.kind for command in site.state.database.store.commands()] == ["pause", "start", "stop"]
    assert root.get("/api/progress").json()["wish"] == "stop"
    assert root.post("/api/commands", {"kind": "explode"}).status_code == 422


@pytest.mark.parametrize(
    ("about", "word"),
    [
        ({"status": "stopped"}, "plaudit resume"),
        ({"status": "finished"}, "finished"),
        ({"stage": "label"}, "nothing is trained"),
    ],
    ids=str,
)
def test_wishes_that_nobody_would_hear_are_refused(site: Site, root: Someone, about: dict, word: str) -> None:
    manifest = site.state.folder.path / "manifest.json"
    manifest.write_text(json.dumps({"stage": "optimise", "status": "running"} | about))
    answer = root.post("/api/commands", {"kind": "start"})
    assert answer.status_code == 409 and word in answer.json()["message"]
    assert site.state.database.store.commands() == []


def test_a_trainer_that_was_killed_is_noticed(folder: Path) -> None:
    place = Folder(folder)
    assert place.status() == "running"  # no lock file: cannot be told
    lock = folder / "lock"
    lock.touch()
    assert place.status() == "killed"
    with lock.open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert place.status() == "killed"  # our own locks do not count: the trainer is another process


@pytest.mark.parametrize(
    ("config", "budget"),
    [
        ("timesteps: 5000\nenvironment: {id: X}", (5000, "timesteps")),
        ("updates: 12\nlanguage: {}", (12, "update")),
        ("- odd", (None, "timesteps")),
        ("{", (None, "timesteps")),
    ],
)
def test_how_far_a_run_goes(folder: Path, config: str, budget: tuple) -> None:
    assert Folder(folder).budget() == (None, "timesteps")
    (folder / "config.yaml").write_text(config)
    assert Folder(folder).budget() == budget
