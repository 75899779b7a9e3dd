"""N updates are bit for bit k updates, `kill -9`, resume and N - k updates, for all weights and for adapters."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plaudit.errors import PlauditError
from plaudit.models.language import generation, loading
from plaudit.runs import checkpoint
from plaudit.runs.folder import RunFolder
from plaudit.stages import optimise
from plaudit.stages.adapters.language import LanguageTask
from plaudit.storage.database import SqlStore
from plaudit.trainers.steps import AdamOptimiser
from tests.processes import contents, differences, in_child, kill_me, metrics
from tests.text_world import World, quiet

EVERYTHING: dict[str, Any] = {
    "updates": 7,
    "environment": {"max_new_tokens": 5, "batch_size": 6, "num_generations": 2, "cap": {"kind": "penalty", "amount": 0.5}},
    "settings": {"kl": {"coef": 0.05, "target": 0.02, "horizon": 50}},
    "trainer": {"epochs": 2, "minibatch_size": 4, "anneal": ["clip"]},
    "reward": {
        "fit": {"first_steps": 3, "steps": 2, "minibatch_size": 4},
        "weights": {"learned": 1, "texts": 0.1, "trl": 0},
    },
    "feedback": {
        "labels": 13, "first": 5, "rounds": 3, "until": 0.7,
        "people": [{"mistake": 0.3, "equal": 0.2}, {"beta": 0.5, "skip": 0.1}],
    },
    "win_rate_check": {"every": 2, "judgements": 3, "stop": True},
    "evaluate_every": 3,
    "evaluate_count": 3,
}  # fmt: skip
FORMS = {"all weights": {}, "adapters": {"policy": {"critic": "separate", "lora": {"rank": 2}}}}


@pytest.fixture
def config(world: World) -> Callable[..., Any]:
    def made(form: str = "all weights", **changes: Any) -> Any:
        reward = EVERYTHING["reward"] | {
            "functions": {name: f"{world.functions}:{name}" for name in ("texts", "trl")}
        }
        return world.config(**EVERYTHING | {"reward": reward} | FORMS[form] | changes)

    return made


KNOWN: dict[str, dict[str, Any]] = {}


@pytest.fixture
def whole(config: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What an undisturbed run leaves, computed once."""

    def of(form: str) -> dict[str, Any]:
        if form not in KNOWN:
            path = tmp_path_factory.mktemp("whole") / "run"
            finished(lambda: optimise.start(config(form), path, quiet), path.with_name("log"))
            KNOWN[form] = contents(path)
        return KNOWN[form]

    return of


def finished(work: Callable[[], Any], log: Path) -> None:
    assert in_child(lambda: work() and 0, log) == 0, log.read_text()


def killed(work: Callable[[], Any], log: Path) -> None:
    assert in_child(work, log) == -9, log.read_text()


def gone_on(path: Path) -> dict[str, Any]:
    finished(lambda: optimise.resume(path, quiet), path.with_name("log"))
    return contents(path)


def dies_at(owner: Any, name: str, call: int, after: bool = False) -> None:
    """From now on this call of a function is the last thing that happens (or what comes right after it)."""
    do, count = getattr(owner, name), iter(range(1, 10**9))

    def counted(*args: Any, **words: Any) -> Any:
        last = next(count) == call
        if last and not after:
            kill_me()
        result = do(*args, **words)
        return kill_me() if last else result

    setattr(owner, name, counted)


@pytest.mark.slow
def test_what_the_run_of_these_tests_holds(whole: Any) -> None:
    """Or they would show less than they say."""
    found = whole("all weights")
    rows = found["metrics"]
    assert len({row["objective/kl_coef"] for row in rows}) == 7  # the controller moves
    assert [row["feedback/labels"] for row in rows] == [5, 5, 9, 9, 12, 13, 13]
    assert sum("watch/win_rate" in row for row in rows) == 4 and len(found["watched"]) == 1
    assert {answer[4].answer for answer in found["answers"]} >= {"first", "second", "equal"}
    assert (
        found["waiting"] == 0 and 9 <= found["history"] - 13 <= 12
    )  # two answers that are the same are not asked
    assert found["made of"].keys() == {"start", "environment.prompts"}


@pytest.mark.parametrize(
    ("form", "every", "owner", "name", "call"),
    [
        ("all weights", 2, generation, "draw", 75),
        ("all weights", 3, AdamOptimiser, "finish", 21),
        ("adapters", 1, generation, "draw", 52),
        ("adapters", 3, AdamOptimiser, "finish", 32),
    ],
)
@pytest.mark.slow
def test_killed_in_generation_and_in_optimisation(
    form: str, every: int, owner: Any, name: str, call: int, config: Any, whole: Any, tmp_path: Path
) -> None:
    path = tmp_path / "run"

    def work() -> None:
        dies_at(owner, name, call)
        optimise.start(config(form, checkpoint_every=every), path, quiet)

    killed(work, tmp_path / "log")
    assert 0 < len(metrics(path)) < 7
    assert differences(whole(form), gone_on(path)) == []


@pytest.mark.parametrize(
    ("method", "call"), [("submit", 9), ("pin_cursor", 4), ("enqueue", 5), ("claim", 12)]
)
@pytest.mark.slow
def test_killed_between_what_is_said_and_the_checkpoint(
    method: str, call: int, config: Any, whole: Any, tmp_path: Path
) -> None:
    """After the store has committed, before the run has heard of it."""
    path = tmp_path / "run"

    def work() -> None:
        dies_at(SqlStore, method, call, after=True)
        optimise.start(config(checkpoint_every=3), path, quiet)

    killed(work, tmp_path / "log")
    assert differences(whole("all weights"), gone_on(path)) == []


@pytest.mark.parametrize(
    ("form", "owner", "name", "call", "written"),
    [
        (
            "all weights",
            checkpoint,
            "_sync",
            10,
            ["00000000", "00000001", "00000002.partial"],
        ),  # a watched policy
        (
            "adapters",
            checkpoint,
            "_sync",
            16,
            ["00000000", "00000001", "00000002", "00000002"],
        ),  # put in its place
        (
            "all weights",
            Path,
            "write_bytes",
            6,
            ["00000000", "00000002", "00000002", "00000003", "00000004.partial"],
        ),
    ],
)
@pytest.mark.slow
def test_killed_while_it_writes(
    form: str, owner: Any, name: str, call: int, written: list[str], config: Any, whole: Any, tmp_path: Path
) -> None:
    """Checkpoints and the policies that are watched."""
    path = tmp_path / "run"

    def work() -> None:
        dies_at(owner, name, call)
        optimise.start(config(form, checkpoint_every=1), path, quiet)

    killed(work, tmp_path / "log")
    assert sorted(p.name for p in [*path.glob("checkpoints/*"), *path.glob("watched/*")]) == written
    assert differences(whole(form), gone_on(path)) == []


@pytest.mark.slow
def test_killed_three_times_and_once_in_the_end(config: Any, whole: Any, tmp_path: Path) -> None:
    path = tmp_path / "run"

    def at(update: int) -> Callable[[dict[str, Any]], Any]:
        return lambda row: kill_me() if row["update"] == update else None

    killed(lambda: optimise.start(config(checkpoint_every=2), path, at(3)), tmp_path / "log")
    assert RunFolder(path).read_manifest()["status"] == "running"
    assert RunFolder(path).read_manifest()["resume"] == "exact"
    killed(lambda: optimise.resume(path, at(5)), tmp_path / "log")

    def ends() -> None:
        dies_at(loading, "save", 1)  # the best policy has been put back, the others are gone
        optimise.resume(path, quiet)

    killed(ends, tmp_path / "log")
    assert len(list(path.glob("watched/*"))) == 1 and len(metrics(path)) == 7
    assert differences(whole("all weights"), gone_on(path)) == []
    with pytest.raises(PlauditError, match="this run is finished; there is nothing to resume"):
        optimise.resume(path, quiet)


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_falls_back_by_hand(config: Any, whole: Any, tmp_path: Path) -> None:
    path = tmp_path / "run"
    killed(
        lambda: optimise.start(config(checkpoint_every=2), path, lambda row: row["update"] < 5 or kill_me()),
        tmp_path / "log",
    )
    newest = path / "checkpoints" / "00000004"
    (newest / "tensors.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(PlauditError, match="damaged checkpoint") as caught:
        optimise.resume(path, quiet)
    assert f"{newest}: " in str(caught.value) and "delete this folder" in str(caught.value)
    shutil.rmtree(newest)
    assert differences(whole("all weights"), gone_on(path)) == []


def test_a_checkpoint_of_another_form_is_refused(config: Any, tmp_path: Path) -> None:
    one, other = (
        LanguageTask(config(form), RunFolder.create(tmp_path / form, {}, "optimise", 0)) for form in FORMS
    )
    with pytest.raises(PlauditError, match="other weights than this model has; put the config back"):
        other.learner.load_state_dict(one.learner.state_dict())
    one.close(), other.close()
