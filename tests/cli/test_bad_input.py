"""Bad input at the command line: one clear sentence, a non-zero exit, and nothing that was there is lost."""

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plaudit.environments.control.make import Control
from plaudit.models.actor_critic import ActorCritic, PolicyConfig, Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.runs import saved
from tests.cli.broken_environments import Faulty

BROKEN = "tests.cli.broken_environments:"
SHORT = (
    "--timesteps",
    "600",
    "--environment.n-steps",
    "16",
    "--envs",
    "4",
    "--evaluate-count",
    "2",
    "--trainer.epochs",
    "1",
)
Run = Callable[..., tuple[int, str, str]]


def refused(result: tuple[int, str, str], *parts: str, status: int = 1) -> str:
    """One sentence on stderr that holds the parts."""
    code, out, err = result
    lines = [line for line in err.splitlines() if line.startswith("plaudit: ")]
    assert code == status and len(lines) == 1 and "Traceback" not in err and not out, result
    rest = err.splitlines()[err.splitlines().index(lines[0]) + 1 :]
    assert not rest, f"more than a line: {rest}"
    for part in parts:
        assert part in lines[0], lines[0]
    return lines[0]


def test_commands(plaudit: Run) -> None:
    assert plaudit()[0] == 2
    assert plaudit("--help")[0] == 0
    refused(plaudit("optimize"), "unknown command 'optimize'; did you mean 'optimise'?", status=2)
    refused(plaudit("xyzzy"), "see plaudit --help", status=2)
    for command in ("run", "optimise"):
        assert plaudit(command)[0] == 2
        assert plaudit(command, "--help")[0] == 0


def test_a_back_flip_is_taught_in_person(plaudit: Run) -> None:
    refused(
        plaudit("demo", "--task", "backflip"), "demo --task backflip: there is nobody to teach it; add --me"
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("verify x --step 3", "verify: --step is unknown; see plaudit verify --help"),
        (
            "optimise ppo --env CartPole-v1 --step 5",
            "optimise ppo: --step is unknown; did you mean --timesteps?; see",
        ),
        (
            "optimise ppo --env CartPole-v1 --timesteps abc",
            "optimise ppo: --timesteps: 'abc' is not a whole number; see",
        ),
        (
            "optimise ppo --env CartPole-v1 --trainer.learning-rate x",
            "--trainer.learning-rate: 'x' is not a number",
        ),
        ("optimise ppo --env CartPole-v1 --timesteps", "--timesteps needs a value"),
        (
            "label x --ask foo",
            "--ask: 'foo' is not one of binary, comparison, ranking, rating; see plaudit label",
        ),
        ("demo --only both", "demo: --only: 'both' is not one of control, language; see plaudit demo --help"),
        ("serve", "serve: PATH is missing: The folder of a run, or one made by plaudit label --items; see"),
        ("verify a b c", "verify: b is unknown; see plaudit verify --help"),
        ("export a --port 1", "export: --port is unknown"),
        ("pretrain x --nosuch 1", "--nosuch is unknown"),
        ("sample x --nosuch 1", "--nosuch is unknown"),
        ("chat x --nosuch 1", "--nosuch is unknown"),
        ("report x --nosuch 1", "--nosuch is unknown"),
        ("demo --nosuch", "--nosuch is unknown"),
        ("demo --seed", "demo: --seed needs a value; see plaudit demo --help"),
        ("demo --seed --me", "demo: --seed needs a value; see plaudit demo --help"),
        ("demo --me=perhaps", "demo: --me: 'perhaps' is not true or false; see plaudit demo --help"),
        ("demo -x", "demo: -x is unknown; see plaudit demo --help"),
        (
            "optimise ppo --settings.advantage gea",
            "--settings.advantage: 'gea' is not one of gae, monte_carlo (as `kind`); see plaudit optimise ppo --help",
        ),
        (
            "optimise ppo --settings.constraint.limit 1",
            "--settings.constraint.limit belongs to another choice; give --settings.constraint stop_at as well; see",
        ),
        (
            "optimise ppo --policy.hidden 8 wide --env CartPole-v1",
            "optimise ppo: --policy.hidden: 'wide' is not a whole number; see",
        ),
        (
            "optimise ppo --reward.weights learned --env CartPole-v1",
            "optimise ppo: --reward.weights: 'learned' is not NAME=VALUE; see",
        ),
    ],
)
def test_command_lines_that_cannot_be_read(plaudit: Run, line: str, sentence: str) -> None:
    refused(plaudit(*line.split()), sentence, status=2)


CONFIG = {"environment": "CartPole-v1", "timesteps": 64, "n_steps": 8}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "no such file"),
        ("environment: [", "not valid YAML"),
        ("just words", "a config is a mapping"),
        ("timesteps: 3", "environment: this field is missing"),
        ("environment: CartPole-v1\nstps: 3", "stps: unknown field; did you mean 'timesteps'?"),
        ("environment: CartPole-v1\ntimesteps: many", "timesteps: 'many' is not a whole number"),
        (
            "environment: CartPole-v1\nsettings: {clipp: .1}",
            "settings.clipp: unknown field; did you mean 'clip'?",
        ),
        (
            "environment: CartPole-v1\nsettings: {advantage: {kind: gea}}",
            "settings.advantage: {'kind': 'gea'} is not one of",
        ),
        (
            "environment: {id: CartPole-v1, vectorization: fast}",
            "environment.vectorization: 'fast' is not one of",
        ),
        ("environment: CartPole-v1\nalgorithm: pop", "algorithm 'pop' is unknown; did you mean 'ppo'?"),
        ("environment: CartPole-v1\ntrainer: 3", "trainer: 3 is not a mapping of fields"),
    ],
)
def test_config_files(plaudit: Run, tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "c.yaml").write_text(text)
    refused(plaudit("run", "c.yaml", "--out", "here"), "c.yaml", sentence)
    assert not (tmp_path / "here").exists()


def test_flags(plaudit: Run, tmp_path: Path) -> None:
    start = ("optimise", "ppo", "--env", "CartPole-v1", *SHORT)
    for flags, part in (
        (("--stepz", "3"), "--timesteps"),
        (("--timesteps", "three"), "three"),
        (("--trainer.schedule", "cubic"), "cubic"),
        (("--environment.envs", "1.5"), "1.5"),
    ):
        code, out, err = plaudit(*start, *flags)
        assert code == 2 and part in err and "Traceback" not in err and not out
    refused(plaudit(*start, "--seeds", "none"), "--seeds: 'none' is not a whole number")
    refused(plaudit(*start, "--out"), "--out needs a value")
    refused(
        plaudit(*start, "--set", "settings.clipp=1"), "settings.clipp: unknown field; did you mean 'clip'?"
    )
    refused(plaudit(*start, "--set", "setings.clip=1"), "no field 'setings.clip'")
    refused(plaudit(*start, "--set", "settings.clip"), "give FIELD=VALUE")
    refused(plaudit(*start, "--set", "settings.clip=[1"), "--set settings.clip=[1", "not valid YAML")
    refused(plaudit(*start, "--timesteps", "0"), "steps: ", "at least 1")
    refused(
        plaudit(*start, "--environment.envs", "0", "--out", "r"),
        "environment.envs: must be at least 1, not 0",
    )
    refused(plaudit("run", "--timesteps", "3"), "the first argument is the config file")
    assert not list(tmp_path.glob("runs"))


def test_a_mistaken_start_leaves_its_folder_free_for_the_next(plaudit: Run, tmp_path: Path) -> None:
    wrong = ("optimise", "ppo", "--env", "CartPole", *SHORT, "--out", "r")
    refused(
        plaudit(*wrong), "environment.id: there is no environment 'CartPole'", "did you mean 'CartPole-v1'?"
    )
    code, out, _ = plaudit("optimise", "ppo", "--env", "CartPole-v1", *SHORT, "--out", "r")
    assert code == 0 and "true return" in out
    assert json.loads((tmp_path / "r" / "manifest.json").read_text()).get("error") is None
    before = {file: file.read_bytes() for file in (tmp_path / "r").rglob("*") if file.is_file()}
    refused(plaudit("optimise", "ppo", "--env", "CartPole-v1", *SHORT, "--out", "r"), "a run is here already")
    refused(plaudit("resume", "r"), "this run is finished")
    assert before == {file: file.read_bytes() for file in (tmp_path / "r").rglob("*") if file.is_file()}
    refused(plaudit("resume", "nothing"), "not a run folder")
    refused(plaudit("resume", "."), "not a run folder")
    (tmp_path / "file").write_text("mine")
    refused(plaudit("optimise", "ppo", *SHORT, "--out", "file"), "file: ")
    refused(plaudit("compare", "nothing", "r"), "nothing: neither a run nor a folder of seeds")
    refused(plaudit("report", "nothing"), "not a run folder")
    refused(plaudit("evaluate", "nothing"), "no such folder; give a run or a saved policy")
    refused(plaudit("export", "r"), "this run asked nobody")
    config = (tmp_path / "r" / "config.yaml").read_text()
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    (tmp_path / "r" / "manifest.json").write_text(json.dumps(manifest | {"status": "running"}))
    (tmp_path / "r" / "config.yaml").write_text(re.sub(r"- 64\n  - 64", "- 8", config))
    refused(plaudit("resume", "r"), "its checkpoint does not fit config.yaml", "put the config back")
    (tmp_path / "r" / "config.yaml").write_text(config)
    assert plaudit("resume", "r")[0] == 0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Raise", "environment 0 failed in step at step 50: ValueError: the wheel came off"),
        ("Reset", "failed in step at step 40: OSError: the game has crashed"),
        ("Reward", "environment 0 returned a non-finite reward at step 50"),
        ("Observation", "environment 0 returned a non-finite observation at step 50"),
        ("Nobody", "there is no environment"),
    ],
)
def test_environments_that_break(plaudit: Run, tmp_path: Path, name: str, sentence: str) -> None:
    flags = ("--env", f"{BROKEN}{name}-v0", *SHORT, "--checkpoint-every", "1", "--out", "r")
    refused(plaudit("optimise", "ppo", *flags), f"{name}-v0", sentence)
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert manifest["status"] == "failed" and sentence in manifest["error"]
    if name != "Nobody":  # what was learned before is there: 3 or 2 updates of 16 steps
        rows = [json.loads(line) for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
        updates = 2 if name == "Reset" else 3
        assert [row["update"] for row in rows] == list(range(1, updates + 1))
        assert (tmp_path / "r" / "checkpoints" / f"{updates:08d}").exists()
        refused(plaudit("resume", "r"), sentence.split(":")[0].split(" at step")[0])


def test_modules_of_environments(plaudit: Run) -> None:
    refused(
        plaudit("optimise", "ppo", "--env", "no_such_module:X-v0", *SHORT), "module of 'no_such_module:X-v0'"
    )
    code, out, _ = plaudit("optimise", "ppo", "--env", f"{BROKEN}None-v0", *SHORT, "--out", "r")
    assert code == 0 and "true return" in out
    # its policy can be started from, stayed near to and evaluated
    flags = ("--start", "r/policy", "--reference", "r/policy", "--settings.kl.coef", "0.1", "--out", "s")
    assert plaudit("optimise", "ppo", "--env", f"{BROKEN}None-v0", *SHORT, *flags)[0] == 0
    first = json.loads(Path("s/metrics.jsonl").read_text().splitlines()[0])
    assert first["objective/kl"] == 0
    assert plaudit("evaluate", "r", "--episodes", "2", "--json")[0] == 0
    assert plaudit("evaluate", "s/policy", "--episodes", "2", "--json")[0] == 0


def policy_for(folder: Path, environment: str, observation: int = 4, action: int = 2) -> Path:
    spaces = Spaces(observation, action, "discrete")
    policy = ActorCritic(spaces, PolicyConfig(hidden=(4,)), torch.Generator())
    saved.save_policy(folder, policy, Control(environment))
    return folder


def test_policies_and_rewards_of_another_environment(plaudit: Run, tmp_path: Path) -> None:
    policy_for(tmp_path / "acrobot", "Acrobot-v1")
    policy_for(tmp_path / "other", "CartPole-v1", observation=5)
    start = ("optimise", "ppo", "--env", "CartPole-v1", *SHORT, "--out", "r")
    for flag in ("--start", "--reference"):
        refused(plaudit(*start, flag, "acrobot"), "made for Acrobot-v1, not for CartPole-v1")
        refused(plaudit(*start, flag, "other"), "other: fits Spaces(observation=5")
        refused(plaudit(*start, flag, "nowhere"), "nowhere: no model saved by plaudit is here")
    reward = RewardEnsemble(Spaces(3, 1, "continuous"), RewardConfig(hidden=(4,)), torch.Generator())
    saved.save_reward(tmp_path / "pendulum", reward, {})
    learned = ("--set", "reward.weights={learned: 1}", "--set")
    refused(plaudit(*start, *learned, "reward.start=pendulum"), "pendulum: fits Spaces(observation=3")
    refused(plaudit(*start, *learned, "reward.start=acrobot"), "holds a control_policy, not a control_reward")
    refused(plaudit(*start, "--start", "pendulum"), "holds a control_reward, not a control_policy")
    card = tmp_path / "acrobot" / "plaudit.json"
    for damage in (
        "{",
        "[]",
        '{"kind": "control_policy"}',
        '{"kind": "control_policy", "environment": "CartPole-v1", "config": {"hiden": []}}',
    ):
        card.write_text(damage)
        refused(plaudit(*start, "--start", "acrobot"), "acrobot")
    weights = tmp_path / "other" / "model.safetensors"
    policy_for(tmp_path / "other", "CartPole-v1")
    weights.write_bytes(weights.read_bytes()[:100])
    refused(plaudit(*start, "--start", "other"), "model.safetensors: damaged")
    weights.write_bytes(pickle.dumps({"a": 1}))
    refused(plaudit(*start, "--start", "other"), "model.safetensors: damaged")
    weights.unlink()
    refused(plaudit(*start, "--start", "other"), "model.safetensors is missing")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "no such file"),
        ("Config = needs = 1\ndef advantages(): pass\n", "`loss` is missing"),
        (
            "Config = advantages = loss = 1",
            "`needs` is missing; an algorithm of the kind on_policy has Config, needs, advantages, loss; say what it "
            "needs with `def needs(config): return Needs()`, of plaudit.batches",
        ),
        (
            "import no_such_package\n",
            "importing it raised ModuleNotFoundError: No module named 'no_such_package'",
        ),
        ("def broken(:\n", "importing it raised SyntaxError"),
        ("raise RuntimeError('not today')", "importing it raised RuntimeError: not today"),
        ("Config = advantages = loss = needs = 1", "`Config` is not a frozen dataclass"),
    ],
)
def test_algorithm_files(plaudit: Run, tmp_path: Path, source: str | None, sentence: str) -> None:
    if source is not None:
        (tmp_path / "mine.py").write_text(source)
    refused(plaudit("optimise", "./mine.py", *SHORT), "mine.py", sentence)


DEMOS = {
    "obs": np.random.default_rng(0).normal(size=(40, 4)),
    "actions": np.arange(40) % 2,
    "episode_starts": np.arange(40) % 10 == 0,
}
PENDULUM = {"obs": np.zeros((40, 3)), "actions": np.linspace(-2, 2, 40)[:, None]}


@pytest.mark.parametrize(
    ("arrays", "flags", "sentence"),
    [
        (
            DEMOS | {"obs": DEMOS["obs"][:, :3]},
            (),
            "observations have shape (3,), but CartPole-v1 gives (4,)",
        ),
        (
            DEMOS | {"actions": DEMOS["actions"] + 1},
            (),
            "action [1] is 2, outside the action space Discrete(2)",
        ),
        (DEMOS | {"actions": DEMOS["actions"] * 0.5}, (), "not one whole number per step"),
        (DEMOS | {"actions": np.zeros((40, 2), int)}, (), "not one whole number per step"),
        (DEMOS, ("--env", "Pendulum-v1"), "but Pendulum-v1 gives (3,)"),
        (
            PENDULUM | {"actions": PENDULUM["actions"] * 1.5},
            ("--env", "Pendulum-v1"),
            "action [0, 0] is -3.0, outside",
        ),
        (PENDULUM | {"actions": np.zeros((40, 2))}, ("--env", "Pendulum-v1"), "do not fit the action space"),
        (DEMOS, ("--episodes", "0"), "episodes: must be at least 1, not 0"),
        (DEMOS, ("--held-out", "1"), "held_out: 1.0 of 40 demonstrated steps leaves none"),
        ({name: array[:1] for name, array in DEMOS.items()}, (), "held_out: 0.1 of 1 demonstrated steps"),
        ({"observation": 1.0}, (), "no array `obs`"),
    ],
)
def test_demonstrations(
    plaudit: Run, tmp_path: Path, arrays: Any, flags: tuple[str, ...], sentence: str
) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    refused(
        plaudit("pretrain", "d.npz", "--env", "CartPole-v1", *flags, "--out", "clone"),
        "demonstrations" if "action" in sentence else "",
        sentence,
    )
    assert not (tmp_path / "clone").exists()


def test_cloning_never_overwrites(plaudit: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **DEMOS)
    env = ("--env", "CartPole-v1")
    clone = ("pretrain", "d.npz", *env, "--out", "clone", "--trainer.epochs", "1", "--evaluate-count", "1")
    assert plaudit(*clone)[0] == 0
    before = (tmp_path / "clone" / "model.safetensors").read_bytes()
    refused(plaudit(*clone), "a model is here already")
    assert (tmp_path / "clone" / "model.safetensors").read_bytes() == before
    refused(plaudit("pretrain"), "the first argument is the file")
    refused(plaudit("pretrain", "none.npz"), "no such file")


def test_a_clone_is_of_the_environment_that_somebody_says(plaudit: Run, tmp_path: Path) -> None:
    short = ("--trainer.epochs", "1", "--evaluate-count", "2")
    np.savez(tmp_path / "d.npz", **PENDULUM)
    refused(
        plaudit("pretrain", "d.npz", *short), "d.npz: does not say which environment it is of; give --env ID"
    )
    assert plaudit("pretrain", "d.npz", *short, "--env=Pendulum-v1", "--out", "a")[0] == 0
    assert plaudit("pretrain", "d.npz", *short, "--set", "environment.id=Pendulum-v1", "--out", "b")[0] == 0
    np.savez(tmp_path / "d.npz", **PENDULUM, environment="Pendulum-v1")
    assert plaudit("pretrain", "d.npz", *short, "--out", "c")[0] == 0
    assert saved.environment_of(tmp_path / "c").id == "Pendulum-v1"
    refused(
        plaudit("pretrain", "d.npz", *short, "--env", "CartPole-v1", "--out", "d"), "CartPole-v1 gives (4,)"
    )
    code, out, _ = plaudit("pretrain", "d.npz", "--help")
    assert (
        code == 0 and "--environment.id" in out and out.startswith("usage: plaudit pretrain FILE [OPTIONS]")
    )


def test_pairs(plaudit: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ("obs_1", "obs_2", "action_1", "action_2")
    arrays = {name: rng.normal(size=(6, 5, 2)) for name in names} | {"label": np.arange(6) % 2.0}
    np.savez(tmp_path / "p.npz", **arrays)
    learn = ("reward", "p.npz", "--out", "model", "--folds", "2", "--repeats", "1", "--fit.first-steps", "3")
    refused(plaudit("reward", "--out", "x"), "give at least one file")
    refused(
        plaudit("reward", "p.npz", "--nosuch", "1"),
        "reward: --nosuch is unknown",
        "see plaudit reward --help",
        status=2,
    )
    assert plaudit("reward", "p.npz", "--help")[1].startswith("usage: plaudit reward FILE ... [OPTIONS]")
    refused(plaudit("reward", "p.npz"), "only 6 pairs are decided; give at least 10, or fewer --folds")
    refused(plaudit(*learn, "--folds", "1"), "folds")
    np.savez(tmp_path / "q.npz", **arrays | {"label": np.array([0, 1, 0.7, 1, 0, 1])})
    refused(plaudit("reward", "p.npz", "q.npz"), "q.npz: label[2] is 0.7")
    np.savez(
        tmp_path / "q.npz",
        **{name: array[..., :1] if name.startswith("obs") else array for name, array in arrays.items()},
    )
    refused(
        plaudit("reward", "p.npz", "q.npz", "--folds", "2"),
        "q.npz",
        "have 1 numbers of observation and 2 of action",
    )
    (tmp_path / "q.npz").write_bytes(pickle.dumps(arrays))
    refused(plaudit("reward", "q.npz"), "q.npz: not a readable .npz of plain arrays")
    code, out, err = plaudit(*learn)
    assert code == 0 and "reward model" in out and "nan" not in out, (out, err)
    refused(plaudit(*learn), "a model is here already")


MISSING = {"gymnasium": "control", "sqlalchemy": "store", "matplotlib": "report"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("package", MISSING)
@pytest.mark.slow
def test_a_missing_package_names_its_extra(tmp_path: Path, package: str) -> None:
    """In a fresh interpreter where importing the package fails, everything that does not need it works."""
    import subprocess
    import sys

    program = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == {package!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Blocked())
import plaudit
from plaudit.cli.main import main
assert main(['--help']) == 0
flags = ['--timesteps', '64', '--environment.n-steps', '8', '--out', {str(tmp_path / "r")!r}, '--evaluate-count', '1']
asking = ['--set', 'reward.weights={{learned: 1}}', '--set', 'feedback={{labels: 4, first: 4, segment: 2}}']
sys.exit(main(['optimise', 'ppo', '--env', 'CartPole-v1', *flags, *(asking if {package!r} == 'sqlalchemy' else [])]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if package == "matplotlib" and done.returncode == 0:
        return  # nothing in a run needs it
    assert done.returncode == 1, done
    assert f"pip install 'plaudit[{MISSING[package]}]'" in done.stderr and "Traceback" not in done.stderr


def test_the_faulty_environment_without_a_fault_is_fine() -> None:
    env = Faulty()
    env.reset(seed=0)
    assert sum(bool(env.step(1)[2]) for _ in range(20)) == 1
