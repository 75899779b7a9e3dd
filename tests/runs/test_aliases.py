"""Names of other libraries in configs: every one means a field there is; conflicts and misspellings are told."""

from typing import Any

import pytest

from plaudit.errors import PlauditError
from plaudit.maths.advantage import GAE
from plaudit.maths.constraint import NoLimit, StopAt
from plaudit.models.exploration import GaussianNoise, StateDependent
from plaudit.runs import aliases
from plaudit.runs import config as configs

CONTROL: dict[str, Any] = {
    "environment": "CartPole-v1", "n_envs": 4, "n_steps": 16, "batch_size": 32, "n_epochs": 3, "gamma": 0.9,
    "gae_lambda": 0.8, "clip_range": 0.1, "clip_range_vf": 0.3, "normalize_advantage": False, "ent_coef": 0.01,
    "vf_coef": 0.4, "max_grad_norm": 0.6, "target_kl": 0.02, "learning_rate": 1e-3, "total_timesteps": 1e5,
    "normalize_observations": True, "normalize_reward": False, "net_arch": [32, 16], "log_std_init": -1.0,
}  # fmt: skip
LANGUAGE: dict[str, Any] = {
    "sft_model_path": "model", "reward_model_path": "reward", "kl_coef": 0.05, "cliprange": 0.1, "cliprange_value": 0.2,
    "vf_coef": 0.1, "num_ppo_epochs": 2, "lam": 0.9, "gamma": 1, "mini_batch_size": 8, "batch_size": 16,
    "response_length": 20, "num_generations": 4, "temperature": 0.7, "top_p": 0.9, "learning_rate": 1e-4,
    "environment": {"cap": "bootstrap"},
}  # fmt: skip


def test_control() -> None:
    c = configs.from_mapping(CONTROL, "test")
    assert (c.environment.id, c.environment.envs, c.environment.n_steps, c.timesteps) == (
        "CartPole-v1",
        4,
        16,
        100_000,
    )
    t, s = c.trainer, c.settings
    assert (t.minibatch_size, t.epochs, t.max_grad_norm, t.learning_rate) == (32, 3, 0.6, 1e-3)
    assert (s.discount, s.advantage, s.clip, s.value_clip) == (0.9, GAE(0.8), 0.1, 0.3)
    assert (s.standardise_advantages, s.entropy_coef, s.value_coef) == (False, 0.01, 0.4)
    assert isinstance(s.constraint, StopAt) and s.constraint.limit == pytest.approx(0.03)
    assert (c.policy.normalise_observations, c.policy.hidden, c.policy.log_std) == (True, (32, 16), -1.0)
    assert c.reward.normalise is False


def test_smooth_exploration() -> None:
    table = aliases.CONTROL["use_sde"]
    for given, wanted in ((True, StateDependent()), (False, GaussianNoise())):
        c = configs.from_mapping({"environment": "Pendulum-v1", "use_sde": given}, "test")
        assert c.policy.exploration == wanted and table.read(wanted) is given
    with pytest.raises(PlauditError, match=r"policy\.exploration: 'smooth' is not one of"):
        configs.from_mapping({"environment": "Pendulum-v1", "use_sde": "smooth"}, "test")


def test_language() -> None:
    c = configs.from_mapping(LANGUAGE, "test")
    assert (c.start, c.reward.start) == ("model", "reward")
    s, t, said = c.settings, c.trainer, c.environment
    assert (s.kl.coef, s.clip, s.value_clip, s.value_coef, s.advantage) == (
        0.05,
        0.1,
        0.2,
        0.1,
        GAE(0.9),
    )
    assert (t.epochs, t.minibatch_size, t.learning_rate) == (2, 8, 1e-4)
    assert (said.batch_size, said.max_new_tokens, said.num_generations) == (16, 20, 4)
    assert (c.policy.shaping.temperature, c.policy.shaping.top_p) == (0.7, 0.9)


@pytest.mark.parametrize("table", [aliases.CONTROL, aliases.LANGUAGE])
def test_no_name_is_a_field_as_well(table: dict[str, aliases.Meaning]) -> None:
    config = configs.from_mapping(CONTROL if table is aliases.CONTROL else LANGUAGE, "test")
    assert not set(table) & set(vars(config))


def test_no_target_is_no_limit() -> None:
    c = configs.from_mapping({"environment": "CartPole-v1", "target_kl": None, "clip_range_vf": None}, "test")
    assert c.settings.constraint == NoLimit() and c.settings.value_clip is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings": {"discount": 0.9}}, "gamma: means the same as settings.discount; leave one"),
        ({"lam": 0.9}, "means the same as"),
        ({"gama": 0.9}, "gama: unknown field; did you mean 'gamma'"),
        ({"n_step": 3}, "n_step: unknown field; did you mean 'n_steps'"),
        ({"gamma": "much"}, "settings.discount: 'much' is not a number"),
        ({"target_kl": "much"}, "settings.constraint.limit: 'much' is not a number"),
        ({"trainer": "fast"}, "trainer: 'fast' is not a mapping"),
    ],
)
def test_conflicts_and_mistakes_are_told(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlauditError, match=said):
        configs.from_mapping(CONTROL | changes, "test")
