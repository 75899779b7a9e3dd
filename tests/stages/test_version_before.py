"""Run folders that the version before wrote (tests/data/version_before; made once, by its own code): killed in the middle
and finished, of control without and with simulated people, and of language. They go on, and every stage reads them."""

import json
import re
import tarfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plaudit.errors import Renamed
from plaudit.report import write_report
from plaudit.runs import config as configs
from plaudit.runs.checkpoint import load_tree
from plaudit.runs.folder import RunFolder
from plaudit.seeds import seed_of
from plaudit.stages import compare, optimise
from plaudit.stages.adapters import adapter_of
from plaudit.stages.evaluate import EvaluateControl, evaluate, medium_of, of_run
from plaudit.stages.export import export_feedback
from plaudit.stages.verify import restore, verify
from plaudit.storage import backup, open_store
from plaudit.web.folder import Folder
from plaudit.web.state import AppState
from tests.web.asking import Site

DATA = Path(__file__).parents[1] / "data" / "version_before"
RUNS = ("cart", "pend", "text")
TAKEN = {"cart": 256, "pend": 400, "text": 2}
"""By run, how much of its budget the newest checkpoint of the killed one had spent."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder with all of them, and with what their configs point at."""
    for name in RUNS:
        with tarfile.open(DATA / f"{name}.tar.xz") as archive:
            archive.extractall(tmp_path, filter="data")
    for file in tmp_path.rglob("config.yaml"):
        file.write_text(file.read_text().replace("@HERE@", str(tmp_path)))
    return tmp_path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stood(name: str, old: Path) -> None:
    """Its parameters, optimiser and counts are the saved ones; then it comes to its end."""
    path = old / f"{name}-killed"
    before = rows(path)
    tree = load_tree(path / "checkpoints" / "00000002")
    folder = RunFolder.open(path)
    task = adapter_of(configs.load(folder.config)).task(configs.load(folder.config), folder)
    optimise._restore(task, optimise.as_it_is(tree, task.config), folder)
    assert task.learner.updates == 2 and task.learner.spent == TAKEN[name]
    for key, tensor in task.learner.policy.trainable().items():
        assert np.array_equal(tensor.numpy(), tree["policy"][key].numpy()), key
    adam = task.learner.updater.optimiser.state_dict()
    assert adam["steps"] == tree["optimiser"]["steps"]
    assert all(
        np.array_equal(adam[part].numpy(), tree["optimiser"][part].numpy()) for part in ("mean", "square")
    )
    assert task.learner.updater.kl_coef == tree["kl_price"]
    if task.feedback is not None:
        known = tree["preferences"]
        assert [getattr(task.feedback, one) for one in ("asked", "cursor", "labels", "owed")] == [
            known[one] for one in ("asked", "cursor", "labels", "owed")
        ]
        assert task.feedback.fits == known["fits"] > 0
    task.close()
    optimise.resume(path, lambda row: None)
    manifest = folder.read_manifest()
    assert manifest["status"] == "finished" and manifest["from_update"] == 2
    after = rows(path)
    assert [row["update"] for row in after] == [1, 2, 3, 4]
    assert after[:2] == before[:2]  # what it wrote before stays as it was written
    if name != "cart":
        assert manifest["notes"] == []  # everything was asked
        store = open_store(folder.feedback)
        answers = {query.id for query in store.queries() if query.purpose == "train"}
        assert len(answers) == task.config.feedback.labels
        store.close()
    write_report(folder)
    assert folder.report.exists()


@pytest.mark.parametrize("how", ["finished", "killed"])
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.slow
def test_every_stage_reads_it(name: str, how: str, old: Path) -> None:
    path = old / f"{name}-{how}"
    folder = RunFolder.open(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Renamed)  # nobody has typed these names
        config = configs.load(folder.config)
    assert medium_of(path) == config.medium == ("language" if name == "text" else "control")
    assert write_report(folder).exists()
    assert not re.search(r"\b(nan|None)\b", folder.report.read_text(encoding="utf-8"))
    if name == "cart":
        return
    count = verify(path).standing
    assert count >= 6 and not verify(path).faults
    assert export_feedback(path, path / "said.jsonl") == count
    said = [json.loads(line) for line in (path / "said.jsonl").read_text().splitlines()]
    assert {row["kind"] for row in said} == {"comparison"} and {row["annotator"] for row in said} >= {
        "simulated-0"
    }


@pytest.mark.parametrize("name", RUNS)
def test_a_finished_run_is_evaluated_as_it_was(name: str, old: Path) -> None:
    path = old / f"{name}-finished"
    result = RunFolder.open(path).read_manifest()["result"]
    if name == "text":
        found = evaluate(str(path), of_run(path))
        assert found["prompts"] == result["win_prompts"] == 3
        assert found["win_rate"] == result["win_rate"]
        assert {"gold_reward_mean", "proxy_reward_mean", "kl_per_answer"} <= found.keys()
        return
    seed = configs.load(path / "config.yaml").seed
    found = evaluate(str(path), EvaluateControl(2, seed=seed_of(seed, "evaluation")))
    wanted = ("return_mean", "return_std", "episodes")
    assert {key: found[key] for key in wanted} == {key: result[key] for key in wanted}


def test_finished_runs_are_compared(old: Path) -> None:
    told = compare.table([[old / f"{name}-finished"] for name in RUNS]).splitlines()
    spent = [line.split()[-2] for line in told[1:]]
    last = [rows(old / f"{name}-finished")[-1]["decisions"] for name in RUNS]
    assert spent == [str(count) for count in last]


@pytest.mark.parametrize("name", ["pend", "text"])
def test_a_lost_store_is_put_back(name: str, old: Path) -> None:
    path = old / f"{name}-finished"
    count = verify(path).standing
    folder = RunFolder.open(path)
    open_store(folder.feedback).close()  # today's tables
    backup.copy(folder.feedback)
    for file in (folder.feedback, path / "feedback.db-wal", path / "feedback.db-shm"):
        file.unlink(missing_ok=True)
    restore(path)
    assert verify(path).standing == count and not verify(path).faults


@pytest.mark.parametrize("how", ["finished", "killed"])
@pytest.mark.parametrize("name", ["pend", "text"])
def test_it_is_served(name: str, how: str, old: Path) -> None:
    state = AppState.open(Folder(old / f"{name}-{how}"))
    state.start()
    try:
        found = Site(state).let_in("Root", "admin").get("/api/progress")
        assert found.status_code == 200, found.text
        assert found.json()["series"]
    finally:
        state.close()
