"""The commands of the language half, one after another on a tiny model: what each says and what it leaves behind."""

import json
import os
import subprocess
import sys
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest

from plaudit.models.language.adapters import Lora
from plaudit.readers.texts import read_text_pairs
from plaudit.runs import config as configs
from plaudit.runs.folder import RunFolder
from plaudit.stages import optimise
from tests.cli.conftest import Run
from tests.text_world import made_of, make_world, quiet, write_rows

SMALL = [
    "--new.layers",
    "1",
    "--new.width",
    "16",
    "--new.heads",
    "2",
    "--new.vocabulary",
    "400",
    "--new.context",
    "200",
    "--count",
    "60",
]
ASKED = [
    "--environment.count",
    "40",
    "--environment.max-new-tokens",
    "12",
    "--environment.batch-size",
    "6",
    "--evaluate-count",
    "6",
    "--updates",
    "2",
]
PEOPLE = [
    "--gold-reward",
    "rubric",
    "--feedback.labels",
    "24",
    "--feedback.first",
    "24",
    "--feedback.rounds",
    "0",
    "--evaluate-every",
    "1",
]


@pytest.fixture
def model(plaudit: Run) -> str:
    code, out, err = plaudit("pretrain", "service", "--out", "lm", *SMALL, "--trainer.epochs", "1")
    assert code == 0, err
    assert "nats per token" in out and "parameters; model lm" in out
    return "lm"


@pytest.mark.slow
def test_pretrain_optimise_evaluate_export(plaudit: Run, model: str) -> None:
    code, out, err = plaudit("optimise", "ppo", "--start", model, "--out", "run", *ASKED, *PEOPLE)
    assert code == 0, err
    assert "held-out prompts by the gold reward" in out and Path("run/report.html").exists()
    assert Path("run/policy/model.safetensors").exists() and Path("run/reward/config.json").exists()
    code, out, err = plaudit("evaluate", "run", "--json", "--count", "5")
    assert code == 0, err
    found = json.loads(out)
    assert found["prompts"] == 5 and 0 <= found["win_rate"] <= 1 and "gold_reward_mean" in found["before"]
    assert plaudit("export", "run", "--to", "said.jsonl")[0] == 0
    assert len(read_text_pairs(Path("said.jsonl"))) == 24
    code, out, err = plaudit(
        "reward",
        "said.jsonl",
        "--start",
        model,
        "--out",
        "reward",
        "--fit.first-steps",
        "3",
        "--held-out",
        "0.4",
    )
    assert code == 0, err
    assert "longer wins" in out and Path("reward/config.json").exists()
    code, out, err = plaudit("compare", "run", "run")
    assert code == 0 and "win rate" in out, err


def test_sample_and_chat(plaudit: Run, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = plaudit("sample", model, "--service", "2", "--max-new-tokens", "4", "--json")
    assert code == 0, err
    assert [set(json.loads(line)) for line in out.splitlines()] == [{"prompt", "completion"}] * 2
    code, out, _ = plaudit("sample", model, "--prompt", "Hello", "--max-new-tokens", "4", "--greedy")
    assert code == 0 and out.startswith("Hello\n  -> ")
    code, _, err = plaudit("sample", model)
    assert code == 1 and "one of --prompt TEXT, --prompts FILE and --service N" in err
    monkeypatch.setattr("sys.stdin", StringIO("Where is it?\n\n"))
    code, out, err = plaudit("chat", model, "--max-new-tokens", "3", "--temperature", "0.5")
    assert code == 0 and len(out.splitlines()) >= 1, err
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"caf\xe9\n"), encoding="utf-8"))
    code, out, err = plaudit("chat", model, "--max-new-tokens", "3")
    assert code == 1 and "standard input: not UTF-8 text" in err
    code, out, err = plaudit("sample", model, "--prompt", "caf\udce9", "--max-new-tokens", "4")
    assert code == 1 and "--prompt: not UTF-8 text" in err


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_a_chat_in_other_bytes_ends_in_one_sentence(locale: str, tmp_path: Path) -> None:
    """In these locales Python reads standard input without complaint, whatever its bytes are."""
    made_of("<|user|>say<|assistant|>it\n", tmp_path / "lm", context=60)
    code = "import sys; from plaudit.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "chat", str(tmp_path / "lm"), "--max-new-tokens", "3"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONIOENCODING"} | {"LC_ALL": locale}
    said = subprocess.run(command, input=b"caf\xe9\n", capture_output=True, env=environment, timeout=120)
    assert said.returncode == 1 and b"Traceback" not in said.stderr
    assert b"standard input: not UTF-8 text" in said.stderr


@pytest.mark.slow
def test_flags_go_on_top_of_what_a_run_says(plaudit: Run, tmp_path: Path) -> None:
    """One flag does not forget the prompts of the run."""
    world = make_world(tmp_path)
    optimise.start(world.config(updates=1), tmp_path / "run", quiet)
    code, out, err = plaudit("evaluate", "run", "--environment.max-new-tokens", "5", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["prompts"] == 4 and found["tokens"] <= 5 and "proxy_reward_mean" in found
    code, out, err = plaudit("evaluate", "run", "--prompts", "service", "--environment.max-new-tokens", "5")
    assert code == 1 and "service prompt 1: the prompt has" in err
    other = write_rows(tmp_path / "other.jsonl", [{"prompt": f"say {i}:"} for i in range(30)])
    code, out, err = plaudit(
        "evaluate", "run", "--prompts", str(other), "--json", "--environment.held-out", "0.5"
    )
    assert code == 0 and json.loads(out)["prompts"] == 15, err


def test_a_chat_goes_on_when_the_context_is_full(
    plaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of("<|user|>say<|assistant|>it\n", tmp_path / "lm", context=60)
    monkeypatch.setattr("sys.stdin", StringIO("say it\n" * 12))
    code, _, err = plaudit("chat", "lm", "--max-new-tokens", "8")
    assert code == 0 and err.count("the model's context is full: it no longer reads the oldest turns") == 1


@pytest.mark.slow
def test_a_part_that_is_left_out_is_asked_for_field_by_field(plaudit: Run, tmp_path: Path) -> None:
    """What `--set` says alone need not agree yet: the flags beside it count too."""
    world = make_world(tmp_path)
    pairs = [{"prompt": f"say {i}:", "chosen": " a", "rejected": " b"} for i in range(20)]
    file = write_rows(tmp_path / "pairs.jsonl", pairs)
    assert plaudit("reward", file, "--start", world.lm, "--out", "reward", "--fit.first-steps", "3")[0] == 0
    code, _, err = plaudit(
        "optimise", "ppo", "--start", world.lm, "--prompts", world.prompts, "--set", "policy.lora.rank=2",
        "--set", "reward.weights.learned=0.5", "--reward.start", "reward", "--updates", "1",
        "--environment.max-new-tokens", "4", "--environment.batch-size", "4", "--out", "run",
    )  # fmt: skip
    assert code == 0, err
    assert configs.load(RunFolder.open(Path("run")).config).policy.lora == Lora(rank=2)
    code, _, err = plaudit("evaluate", "run", "--set", "shaping.temperature=0.5", "--count", "2")
    assert code == 0, err
    code, _, err = plaudit("evaluate", "run", "--set", "shaping.temprature=0.5")
    assert code == 1 and "--set: shaping.temprature: unknown field; did you mean 'temperature'?" in err
    code, _, err = plaudit("evaluate", "run", "--set", "reward.name=5")
    assert code == 1 and "--set: reward: " in err


@pytest.mark.slow
def test_a_run_on_functions_is_evaluated_by_them(plaudit: Run, tmp_path: Path) -> None:
    """And nothing calls the reward a learned one."""
    world = make_world(tmp_path)
    given = {"functions": {"long": f"{world.functions}:trl"}, "weights": {"long": 2.0}}
    config = world.config(updates=1, gold_reward=None, reward=given, feedback={"labels": 0})
    folder = optimise.start(config, tmp_path / "run", quiet)
    code, out, err = plaudit("evaluate", "run", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["win_by"] == "reward" and 0 < found["proxy_reward_mean"] <= 2 * 6
    code, out, err = plaudit("evaluate", "run")
    assert code == 0 and "better by the reward" in out and "learned reward" not in out, err
    code, out, err = plaudit("evaluate", "run", "--reward", "rm")
    assert code == 1 and "weights: 'learned' has none" in err and "add --set weights.learned=1" in err
    # killed while its report was written
    code, out, err = plaudit("resume", folder.path)
    assert code == 0 and "held-out prompts by the reward (" in out and folder.report.exists(), err
    code, out, err = plaudit("resume", folder.path)
    assert code == 1 and "this run is finished; there is nothing to resume" in err


def test_an_empty_file_of_comparisons(plaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    code, _, err = plaudit("reward", "empty.jsonl", "--start", "lm")
    assert code == 1 and "empty.jsonl: there is not a single row in it" in err
