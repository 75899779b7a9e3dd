"""The four programs run exactly as they stand, each in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from plaudit.agents import PPOAgent
from plaudit.models.language import loading
from plaudit.models.language.loading import NewModel
from plaudit.models.language.vocabulary import Vocabulary, read_gpt2
from plaudit.runs import saved
from tests.api.conftest import pendulum_rows, write
from tests.api.test_reward import texts
from tests.models.language.tiny import seeded
from tests.text_world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def run(program: Path, *arguments: object, limit: int = 1700) -> str:
    found = subprocess.run(
        [sys.executable, str(program), *map(str, arguments)], capture_output=True, text=True, timeout=limit,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_gym_agent(programs: Path) -> None:
    mean = float(re.findall(r"-?\d+\.?\d*", run(programs / "gym_agent.py"))[0])
    assert mean >= 475


def test_gpt2_ppo(programs: Path, shared_data: Path, tmp_path: Path) -> None:
    vocabulary = Vocabulary(read_gpt2(shared_data / "gpt2_tokenizer"), "gpt2")
    model = loading.make(NewModel(layers=2, width=32, heads=2, context=64), vocabulary, seeded(0))
    loading.save(tmp_path, model, vocabulary)
    lines = run(programs / "gpt2_ppo.py", tmp_path).splitlines()
    assert [line.split()[:2] for line in lines] == [[str(epoch), "1.0"] for epoch in range(10)]
    distances = [float(line.split()[2]) for line in lines]
    assert distances[0] == 0 and all(abs(distance) < 1 for distance in distances)


def test_finetune_a_control_policy(programs: Path, tmp_path: Path) -> None:
    agent = PPOAgent("Pendulum-v1")
    agent.save(tmp_path / "policy")
    write(tmp_path / "feedback.jsonl", pendulum_rows(100))
    run(
        programs / "finetune_with_feedback.py",
        tmp_path / "policy",
        tmp_path / "feedback.jsonl",
        tmp_path / "tuned",
    )
    assert saved.load_policy(tmp_path / "tuned", "Pendulum-v1").spaces == agent.policy.spaces
    assert PPOAgent.load(tmp_path / "tuned").evaluate(20).mean > agent.evaluate(20).mean + 300


@pytest.mark.parametrize("kind", ["comparison", "ranking", "rating"])
def test_finetune_a_language_model(programs: Path, spoken: World, tmp_path: Path, kind: str) -> None:
    file = write(tmp_path / "feedback.jsonl", texts(kind))
    run(programs / "finetune_with_feedback.py", spoken.lm, file, tmp_path / "tuned")
    model, vocabulary = loading.load(str(tmp_path / "tuned"))
    assert len(vocabulary) <= model.config.vocab_size


@pytest.mark.learn
def test_sb3_rlhf(programs: Path, tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="stable_baselines3 is not installed")
    file = write(tmp_path / "feedback.jsonl", pendulum_rows(200, steps=50))
    mean = float(re.findall(r"-\d+\.?\d*", run(programs / "sb3_rlhf.py", file))[0])
    assert mean > -900  # at random -1200; what these made-up people like is not quite what Pendulum pays
