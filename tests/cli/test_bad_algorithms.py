"""Bad input where algorithms, learners and rewards meet: one sentence that names the field or the file."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plaudit.cli.optimise import _of_discriminator
from tests.cli.test_bad_input import SHORT, policy_for, refused

Run = Callable[..., tuple[int, str, str]]
START = ("--env", "CartPole-v1", *SHORT)
PPO = "from plaudit.algorithms.on_policy.ppo import Config, advantages, loss as whole, needs\n"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "from plaudit.algorithms.on_policy.ppo import Config, advantages, loss\n",
            "mine.py: `needs` is missing; an algorithm of the kind on_policy has Config, needs, advantages, loss; say "
            "what it needs with `def needs(config): return Needs()`",
        ),
        (
            f"{PPO}loss = whole\ndef needs(config): return 'critic'\n",
            "`needs` gave a str; return plaudit.batches.Needs(...)",
        ),
        (
            f"{PPO}loss = whole\ndef needs(config): return config.epochs_of_mine\n",
            "mine.py: `needs` raised AttributeError: 'Config' object has no attribute 'epochs_of_mine'; mend it",
        ),
        (
            f"{PPO}import torch\nfrom dataclasses import replace\n"
            "def loss(*given):\n"
            "    found = whole(*given)\n"
            "    return replace(found, metrics=found.metrics | {'mine': torch.tensor(float('nan'))})\n",
            "mine.py: its metric mine is nan at update 1; learning has diverged, or the algorithm reports nonsense",
        ),
    ],
)
def test_algorithm_files_of_ones_own(plaudit: Run, tmp_path: Path, source: str, sentence: str) -> None:
    (tmp_path / "mine.py").write_text(source)
    refused(plaudit("optimise", "./mine.py", *START, "--out", "r"), sentence)
    assert not list(tmp_path.glob("r/checkpoints/*"))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "def loss(new, *rest):\n    return replace(whole(new, *rest), policy=new.logp)\n",
            "loss.policy: one number is wanted, not [64, 1]; take the mean over the decisions",
        ),
        (
            "def loss(new, *rest):\n    return whole(new, *rest).total, {}\n",
            "loss: it returned a tuple; return plaudit.batches.Loss(policy=..., metrics=...)",
        ),
        (
            "def loss(new, *rest):\n    return replace(whole(new, *rest), metrics={'mine': 1.0})\n",
            "loss.metrics.mine: one number in a tensor is wanted, not float; detach and mask it",
        ),
        (
            "loss = whole\ndef advantages(episodes, config):\n    return episodes.rewards.sum(dim=1)\n",
            "mine.py: advantages: one for each decision, [",
        ),
        (
            "loss = whole\nfrom plaudit.batches import Needs\ndef needs(config): return Needs(unit='episode')\n",
            "mine.py: `needs` raised needs.unit: 'episode' is not one of steps, episodes; mend it",
        ),
    ],
)
@pytest.mark.slow
def test_what_an_algorithm_returns(tmp_path: Path, source: str, sentence: str) -> None:
    """In a process of its own: the shape checks of these tests would be first."""
    (tmp_path / "mine.py").write_text(f"{PPO}from dataclasses import replace\n{source}")
    command = [sys.executable, "-m", "plaudit.cli.main", "optimise", "./mine.py", *map(str, START)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("grpo --environment.envs 12", "environment.envs: 12 environments are no whole number of groups of 8; give a multiple of 8"),
        ("grpo --environment.group 1", "environment.group: this algorithm compares episodes from one initial state and needs 2 or more; raise it"),
        ("dpo", "pairs: dpo learns from pairs in a file; give it here"),
        ("dpo --pairs p.npz", "start: dpo stays near the policy it starts from; give its folder, such as one of plaudit pretrain"),
        ("ppo --pairs p.npz", "pairs: ppo does not learn from pairs; leave this out, or take one of"),
        ("gail", "reward.demonstrations: a discriminator learns from demonstrations; give the file"),
        ("bc", "algorithm: bc learns from demonstrations alone, without acting; use plaudit pretrain"),
        ("ppo --reward.discriminator gial", "reward.discriminator: algorithm 'gial' is unknown; did you mean 'gail'?"),
        ("ppo --reward.discriminator bc", "reward.discriminator: bc is no adversarial imitation, which gives a reward; take gail"),
        ("ppo --reward.discriminator ./none.py", "reward.discriminator: none.py: no such file"),
        ("ppo --feedback.kinds comparisn=1", "feedback.kinds.comparisn: unknown; did you mean 'comparison'?"),
        ("ppo --set feedback.kinds={thumbs:\\ 1}", "feedback.kinds.thumbs: unknown; known: binary, comparison, ranking, rating"),
        ("trpo --trainer.microbatch-size 4", "trainer.microbatch_size: has no effect in a trust region"),
        ("ppo --trainer.step adam --trainer.step.delta 1", "--trainer.step.delta belongs to another choice"),
    ],
)  # fmt: skip
def test_fields_that_do_not_go_together(plaudit: Run, line: str, sentence: str) -> None:
    name, *flags = (part.replace("\0", " ") for part in line.replace("\\ ", "\0").split())
    flags = [*START, *flags]
    status = 2 if "belongs" in sentence else 1
    refused(plaudit("optimise", name, *flags), sentence, status=status)


def test_a_shared_critic_in_a_trust_region(plaudit: Run) -> None:
    line = ("optimise", "trpo", "--start", "lm", "--prompts", "p.jsonl")
    mine = ("--set", "reward.functions={mine: 'f.py:f'}", "--set", "reward.weights={mine: 1}")
    refused(
        plaudit(*line, *mine, "--policy.critic", "shared"),
        "policy.critic: in a trust region the critic learns by steps of its own",
    )


@pytest.mark.parametrize(
    ("body", "flags", "sentence"),
    [
        ("return obs[:, :3, 0]", (), "reward 'mine': it returned shape [4, 3]; return one number per step, [4, 16], or one per row, [4]"),
        ("return 3.0", (), "reward 'mine': it returned shape []; return one number per step, [4, 16], or one per row, [4]"),
        ("return 'much'", (), "reward 'mine': it raised ValueError"),
        ("return obs[:, :, 0] * float('inf')", (), "reward 'mine': it returned a number that is not finite"),
        ("raise KeyError('gone')", (), "reward 'mine': it raised KeyError: 'gone'; the run can be resumed after mending it"),
        ("return obs[:, 0, 0]", (), "reward.normalise: no part of the reward pays every step"),
    ],
)  # fmt: skip
def test_reward_functions_of_control(
    plaudit: Run, tmp_path: Path, body: str, flags: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "f.py").write_text(f"def f(obs, actions, following):\n    {body}\n")
    mine = ("--set", "reward.functions={mine: 'f.py:f'}", "--set", "reward.weights={mine: 1}")
    refused(plaudit("optimise", "ppo", *START, *mine, *flags), sentence)


def test_a_reward_of_whole_rows_is_paid_at_their_end(plaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("def f(obs, actions, following):\n    return obs[:, 0, 0]\n")
    mine = ("--set", "reward.functions={mine: 'f.py:f'}", "--set", "reward.weights={mine: 1}")
    code, _, err = plaudit("optimise", "ppo", *START, *mine, "--reward.no-normalise", "--out", "r")
    assert code == 0, err


def test_pairs_and_demonstrations_of_another_environment(plaudit: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    policy_for(tmp_path / "start", "CartPole-v1")
    sides = {f"obs_{i}": rng.normal(size=(12, 5, 3)) for i in (1, 2)}
    sides |= {f"action_{i}": rng.integers(0, 2, size=(12, 5)) for i in (1, 2)}
    np.savez(tmp_path / "p.npz", **sides, label=np.arange(12) % 2.0)
    line = ("optimise", "dpo", "--env", "CartPole-v1", "--pairs", "p.npz", "--start", "start", "--out", "r")
    refused(plaudit(*line), "p.npz: observations have shape (3,), but CartPole-v1 gives (4,)")
    np.savez(
        tmp_path / "d.npz",
        obs=rng.normal(size=(20, 3)),
        actions=np.zeros(20, int),
        episode_starts=np.arange(20) == 0,
    )
    refused(
        plaudit("optimise", "gail", *START, "--reward.demonstrations", "d.npz", "--out", "s"),
        "demonstrations: observations have shape (3,), but CartPole-v1 gives (4,)",
    )


def test_settings_that_only_a_discriminator_has_may_be_named_in_short() -> None:
    own = {"reward", "entropy_coef"}
    moved = {
        "--settings.reward": "--reward.discriminator_settings.reward",
        "--settings.entropy-coef=.1": "--reward.discriminator_settings.entropy-coef=.1",
        "--settings.clip": "--settings.clip",
        "--reward.demonstrations": "--reward.demonstrations",
    }
    assert [_of_discriminator(token, own) for token in moved] == list(moved.values())


@pytest.mark.parametrize("line", ["optimise ppo", "optimise es --seed 1", "optimise dpo --out r"])
def test_nothing_to_learn_in(plaudit: Run, line: str) -> None:
    refused(
        plaudit(*line.split()),
        "name an environment, such as --env CartPole-v1, or a language model: --start MODEL",
    )
