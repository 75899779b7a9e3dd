"""N updates are bit for bit k updates, `kill -9`, resume and N - k updates; also where it is killed twice."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from plaudit.environments.control.vector_env import Source
from plaudit.errors import PlauditError
from plaudit.runs.config import RunConfig, from_mapping
from plaudit.runs.folder import RunFolder
from plaudit.stages import optimise
from plaudit.stages.adapters.control import ControlTask
from plaudit.storage.database import SqlStore
from tests.processes import contents, differences, in_child, kill_me, metrics

TINY = {"hidden": [8]}
PENDULUM = {
    "environment": {"id": "Pendulum-v1", "envs": 8, "n_steps": 50},
    "timesteps": 3190,  # not a multiple of anything
    "settings": {"discount": 0.9},
    "trainer": {"epochs": 2, "minibatch_size": 128},
    "policy": TINY | {"normalise_observations": True},
    "reward": {
        "weights": {"environment": 0.1, "learned": 1},
        "model": {"hidden": [6], "inputs": "state_action_next"},
        "fit": {"first_steps": 12, "steps": 6, "minibatch_size": 8},
    },
    "feedback": {
        "labels": 31, "first": 9, "rounds": 4, "until": 0.9, "segment": 25, "query": "disagreement", "candidates": 3,
        "people": [{"mistake": 0.3, "equal": 0.1}, {"beta": 0.1, "skip": 0.2}],
    },
    "evaluate_every": 3,
    "evaluate_count": 2,
}  # fmt: skip
CARTPOLE = {
    "environment": {"id": "CartPole-v1", "envs": 5, "vectorization": "numpy", "n_steps": 24},
    "timesteps": 777,
    "trainer": {"epochs": 2, "minibatch_size": 32, "anneal": ["clip"]},
    "policy": TINY,
    "evaluate_count": 2,
}
SYNC = CARTPOLE | {"environment": {"id": "CartPole-v1", "envs": 5, "vectorization": "sync", "n_steps": 24}}
NEXT = CARTPOLE | {"environment": SYNC["environment"] | {"autoreset": "next_step"}}
HOPPER = {
    "environment": {"id": "Hopper-v5", "envs": 2, "vectorization": "sync", "n_steps": 50},
    "timesteps": 700,
    "trainer": {"epochs": 1, "minibatch_size": 50},
    "policy": TINY | {"normalise_observations": True},
    "reward": {"normalise": True},
    "evaluate_count": 1,
}
SMOOTH = {
    "environment": {"id": "MountainCarContinuous-v0", "envs": 2, "n_steps": 25},
    "timesteps": 500,
    "trainer": {"epochs": 1, "minibatch_size": 50},
    "policy": TINY | {"exploration": {"kind": "state_dependent", "resample": 4}},
    "evaluate_count": 1,
}
MASKED = CARTPOLE | {
    "environment": {
        "id": "tests.environments.control.pressing:Masked-v0", "envs": 5, "n_steps": 24, "kwargs": {"choices": [3, 4]},
    },
}  # fmt: skip
MAPPINGS = {
    "pendulum": PENDULUM, "cartpole": CARTPOLE, "sync": SYNC, "next": NEXT, "hopper": HOPPER,
    "smooth": SMOOTH, "masked": MASKED,
}  # fmt: skip


def config(name: str, **changes: Any) -> RunConfig:
    return from_mapping(MAPPINGS[name] | {"seed": 3} | changes, name)


def quiet(row: dict[str, Any]) -> None:
    pass


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What an undisturbed run of a config leaves, computed once."""
    known: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        if name not in known:
            path = tmp_path_factory.mktemp("whole") / "run"
            log = path.with_name("log")
            assert in_child(lambda: optimise.start(config(name), path, quiet) and 0, log) == 0, (
                log.read_text()
            )
            known[name] = contents(path)
        return known[name]

    return of


def die_at(update: int) -> Callable[[dict[str, Any]], None]:
    """Killed after the row of this update was written."""
    return lambda row: kill_me() if row["update"] == update else None


def die_in_step(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Killed in the middle of a rollout, at this step of the environments."""
    step, count = Source.step, iter(range(1, 10**9))
    monkeypatch.setattr(Source, "step", lambda self, a: kill_me() if next(count) == number else step(self, a))


def killed(work: Callable[[], Any], log: Path) -> None:
    assert in_child(work, log) == -9, log.read_text()


def finish(path: Path) -> dict[str, Any]:
    log = path.with_name("log")
    assert in_child(lambda: optimise.resume(path, quiet) and 0, log) == 0, log.read_text()
    return contents(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "every", "update"),
    [
        ("pendulum", 1, 3), ("pendulum", 2, 5), ("pendulum", 3, 7), ("cartpole", 1, 1), ("cartpole", 3, 5),
        ("smooth", 2, 5), ("masked", 1, 3),
        ("sync", 2, 3), ("next", 2, 5), ("hopper", 3, 5),
    ],
)  # fmt: skip
def test_killed_after_an_update(name: str, every: int, update: int, whole: Any, tmp_path: Path) -> None:
    path = tmp_path / "run"
    one = config(name, checkpoint_every=every)
    killed(lambda: optimise.start(one, path, die_at(update)), tmp_path / "log")
    assert [row["update"] for row in metrics(path)] == list(range(1, update + 1))
    assert RunFolder(path).read_manifest()["status"] == "running"
    assert differences(whole(name), finish(path)) == []


@pytest.mark.parametrize(
    ("name", "every", "step"), [("pendulum", 2, 271), ("sync", 1, 100), ("hopper", 2, 260)]
)
@pytest.mark.slow
def test_killed_in_mid_rollout(
    name: str, every: int, step: int, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"

    def work() -> None:
        die_in_step(monkeypatch, step)
        optimise.start(config(name, checkpoint_every=every), path, quiet)

    killed(work, tmp_path / "log")
    assert differences(whole(name), finish(path)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "call"), [("submit", 17), ("pin_cursor", 5), ("enqueue", 2), ("claim", 12)]
)
def test_killed_between_what_is_said_and_the_checkpoint(
    method: str, call: int, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the store has committed, before the trainer has heard of it."""
    path = tmp_path / "run"

    def work() -> None:
        do, count = getattr(SqlStore, method), iter(range(1, 10**9))

        def done_and_dead(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = do(self, *args, **kwargs)
            return kill_me() if next(count) == call else result

        monkeypatch.setattr(SqlStore, method, done_and_dead)
        optimise.start(config("pendulum", checkpoint_every=3), path, quiet)

    killed(work, tmp_path / "log")
    assert differences(whole("pendulum"), finish(path)) == []


@pytest.mark.slow
def test_killed_twice_and_once_while_it_resumes(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    killed(lambda: optimise.start(config("pendulum", checkpoint_every=2), path, die_at(5)), tmp_path / "log")

    def again() -> None:
        monkeypatch.setattr(RunFolder, "cut_metrics", kill_me)
        optimise.resume(path, quiet)

    killed(again, tmp_path / "log")
    killed(lambda: optimise.resume(path, die_at(7)), tmp_path / "log")
    assert differences(whole("pendulum"), finish(path)) == []


@pytest.mark.parametrize(
    ("where", "call"),
    [
        ("os.replace", 6),
        ("os.replace", 7),
        ("os.fsync", 10),
        ("os.fsync", 13),
        ("pathlib.Path.write_bytes", 3),
    ],
)
@pytest.mark.slow
def test_killed_while_it_writes_a_checkpoint(
    where: str, call: int, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"

    def work() -> None:
        module, _, name = where.rpartition(".")
        target = {"os": __import__("os"), "pathlib.Path": Path}[module]
        do, count = getattr(target, name), iter(range(1, 10**9))
        monkeypatch.setattr(target, name, lambda *a, **k: kill_me() if next(count) == call else do(*a, **k))
        optimise.start(config("cartpole", checkpoint_every=1), path, quiet)

    killed(work, tmp_path / "log")
    assert differences(whole("cartpole"), finish(path)) == []


def test_killed_after_the_last_update(whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run"

    def work() -> None:
        monkeypatch.setattr(ControlTask, "finish", kill_me)
        optimise.start(config("cartpole"), path, quiet)

    killed(work, tmp_path / "log")
    assert differences(whole("cartpole"), finish(path)) == []
    with pytest.raises(PlauditError, match="this run is finished; there is nothing to resume"):
        optimise.resume(path, quiet)


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_falls_back_by_hand(whole: Any, tmp_path: Path) -> None:
    path = tmp_path / "run"
    killed(lambda: optimise.start(config("pendulum", checkpoint_every=2), path, die_at(7)), tmp_path / "log")
    newest = path / "checkpoints" / "00000006"
    (newest / "tensors.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(PlauditError, match="damaged checkpoint") as caught:
        optimise.resume(path, quiet)
    assert f"{newest}: " in str(caught.value) and "delete this folder" in str(caught.value)
    shutil.rmtree(newest)
    assert differences(whole("pendulum"), finish(path)) == []
