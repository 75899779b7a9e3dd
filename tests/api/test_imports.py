"""`import plaudit` stays light; what is missing is named."""

import subprocess
import sys

import pytest

import plaudit

HEAVY = ("torch", "numpy", "gymnasium", "transformers", "sqlalchemy", "fastapi", "rich", "stable_baselines3")


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    ).stdout.strip()


def test_the_package_alone_imports_no_library() -> None:
    assert run(f"import plaudit, sys; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


@pytest.mark.parametrize(
    ("name", "unneeded"),
    [
        ("PPOTrainer", ("gymnasium", "sqlalchemy", "fastapi")),
        ("agents", ("transformers", "sqlalchemy", "fastapi", "stable_baselines3")),
        ("envs", ("transformers", "sqlalchemy", "fastapi", "stable_baselines3")),
        ("RewardModel", ("transformers", "gymnasium", "sqlalchemy")),
        ("load_feedback", ("transformers", "gymnasium", "sqlalchemy", "torch")),
    ],
)
@pytest.mark.slow
def test_a_face_imports_only_its_own_half(name: str, unneeded: tuple[str, ...]) -> None:
    assert (
        run(f"import plaudit, sys; plaudit.{name}; print([m for m in {unneeded} if m in sys.modules])")
        == "[]"
    )


@pytest.mark.parametrize(
    ("library", "face", "extra"),
    [
        ("gymnasium", "envs", "control"),
        ("gymnasium", "agents", "control"),
        ("transformers", "PPOTrainer", "language"),
    ],
)
@pytest.mark.slow
def test_a_missing_library_is_named_with_its_extra(library: str, face: str, extra: str) -> None:
    program = f"""
import sys
sys.modules[{library!r}] = None  # as if it were not installed
import plaudit
try:
    plaudit.{face}
except plaudit.errors.PlauditError as error:
    print(error)
"""
    assert f"plaudit[{extra}]" in run(program)


def test_names() -> None:
    assert {"PPOConfig", "RewardModel", "agents", "envs", "load_feedback", "ppo"} <= set(dir(plaudit))
    with pytest.raises(AttributeError, match="no attribute 'agent'"):
        plaudit.agent  # noqa: B018
    from plaudit.agents import PPOAgent
    from plaudit.envs import GymEnv
    from plaudit.ppo import PPO

    assert (plaudit.agents.PPOAgent, plaudit.envs.GymEnv, plaudit.ppo.PPO) == (PPOAgent, GymEnv, PPO)
