"""PPOAgent: exact budgets, schedules, predictions, and the same numbers as the pipeline."""

import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
import yaml

from plaudit.agents import PPOAgent
from plaudit.api import arguments
from plaudit.envs import GymEnv
from plaudit.errors import PlauditError
from plaudit.runs import config as configs
from plaudit.runs.folder import RunFolder
from plaudit.runs.settings import dump
from plaudit.stages.adapters.control import ControlTask

SMALL: dict[str, Any] = {"n_envs": 2, "n_steps": 8, "batch_size": 8, "n_epochs": 2}


def small(env: Any = "CartPole-v1", **given: Any) -> PPOAgent:
    return PPOAgent(env, **(SMALL | given))


def weights(agent: PPOAgent) -> torch.Tensor:
    return agent.learner.updater.optimiser.flat.vector.clone()


def test_budgets_are_exact_and_add_up() -> None:
    agent = small()
    assert [agent.learn(n).num_timesteps for n in (5, 16, 1, 40)] == [5, 21, 22, 62]
    assert agent.learn().num_timesteps == 62 + 16  # one whole rollout
    many = small()
    for _ in range(7):
        many.learn(13)
    assert many.num_timesteps == 7 * 13


def test_learns_the_same_as_a_run_of_the_pipeline(tmp_path: Path) -> None:
    agent = small(learning_rate="lin_0.001", clip_range="lin_0.2", gamma=0.9, gae_lambda=0.8, seed=4).learn(
        45
    )
    mapping = {
        "environment": {"id": "CartPole-v1", "envs": 2, "n_steps": 8},
        "timesteps": 45,
        "settings": {"discount": 0.9, "advantage": {"kind": "gae", "lam": 0.8}},
        "trainer": {"learning_rate": 1e-3, "epochs": 2, "minibatch_size": 8, "anneal": ["clip"]},
        "reward": {"normalise": False},
        "seed": 4,
    }
    run = ControlTask(configs.from_mapping(mapping, "test"), RunFolder(tmp_path))
    while not run.learner.done:
        run.learner.step()
    theirs = run.learner.updater.optimiser.flat.vector
    torch.testing.assert_close(weights(agent), theirs, rtol=0, atol=1e-7)


def test_schedules_see_what_remains_of_the_budget() -> None:
    seen: list[float] = []

    def rate(remaining: float) -> float:
        seen.append(remaining)
        return 1e-3 * remaining

    small(learning_rate=rate).learn(40)
    assert seen[1:] == pytest.approx(
        [1.0, 1 - 16 / 40, 1 - 32 / 40]
    )  # the first call asks for the value at the start
    agent = small(clip_range=lambda remaining: 0.1 + remaining, clip_range_vf=0.3)
    agent._schedule(0.5)
    assert agent.learner.updater.algorithm.settings.clip == pytest.approx(0.6)
    assert agent.learner.updater.algorithm.settings.value_clip == pytest.approx(0.3)
    seen.clear()
    small(learning_rate=rate).learn().learn()
    assert seen[1:] == [1.0, 1.0]  # nobody says how far it goes


def test_names_mean_what_they_mean_in_stable_baselines3() -> None:
    agent = small(
        gamma=0.9, gae_lambda=0.7, ent_coef=0.02, vf_coef=0.3, max_grad_norm=0.4, target_kl=0.02,
        normalize_advantage=False, net_arch=[8, 4], seed=7,
    )  # fmt: skip
    c = agent.config
    assert (c.environment.envs, c.environment.n_steps, c.trainer.minibatch_size, c.trainer.epochs) == (
        2,
        8,
        8,
        2,
    )
    assert (c.settings.discount, c.settings.advantage.lam, c.settings.entropy_coef) == (0.9, 0.7, 0.02)
    assert (c.settings.value_coef, c.trainer.max_grad_norm, c.settings.standardise_advantages) == (
        0.3,
        0.4,
        False,
    )
    assert c.settings.constraint.limit == pytest.approx(0.03)  # it stops at 1.5 times its target
    assert (c.policy.hidden, c.seed) == ((8, 4), 7)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gama": 0.9}, "unknown argument 'gama'; did you mean 'gamma'"),
        ({"gamma": 1.5}, "gamma: must be between 0 and 1"),
        ({"gae_lambda": -1}, "gae_lambda: must be between 0 and 1"),
        ({"n_steps": 0}, "n_steps: must be at least 1"),
        ({"batch_size": "many"}, "batch_size: 'many' is not a whole number"),
        ({"learning_rate": "fast"}, "learning_rate: 'fast' is neither a number"),
        ({"clip_range": lambda _: float("nan")}, "clip_range"),
    ],
)
def test_bad_arguments_are_named_as_they_were_given(given: dict[str, Any], said: str) -> None:
    with pytest.raises(PlauditError, match=said):
        small(**given)


@pytest.mark.parametrize("env", ["CartPole-v7", 3, None])
def test_what_is_no_environment_is_refused(env: Any) -> None:
    with pytest.raises(PlauditError, match=r"there is no environment|is no environment"):
        small(env)


@pytest.mark.parametrize("steps", [0, -3, 1.5, "many", float("nan"), float("inf")])
def test_a_budget_is_a_whole_number(steps: Any) -> None:
    with pytest.raises(PlauditError, match="total_timesteps"):
        small().learn(steps)


def test_predicts_for_one_and_for_many() -> None:
    agent = small("Pendulum-v1")
    one, state = agent.predict(np.zeros(3), state="kept", deterministic=True)
    many, _ = agent.predict(np.zeros((5, 3)), deterministic=True)
    assert one.shape == (1,) and state == "kept" and many.shape == (5, 1)
    assert np.allclose(many, one) and many.dtype == np.float32
    drawn = [agent.predict(np.zeros(3))[0].item() for _ in range(4)]
    assert len(set(drawn)) == 4 and max(map(abs, drawn)) <= 2
    discrete, _ = small().predict(np.zeros((3, 4)))
    assert discrete.shape == (3,) and set(discrete.tolist()) <= {0, 1}
    assert agent.predict(np.zeros((0, 3)))[0].shape == (0, 1)
    for wrong in (np.zeros(2), np.zeros((4, 2)), np.array([np.nan, 0, 0]), "text", {"a": 1}):
        with pytest.raises(PlauditError, match="observation"):
            agent.predict(wrong)


class OneStep(gymnasium.Env):
    """Pays what it is told; actions start at 5."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(3, start=5)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        assert action in (5, 6, 7)
        return np.zeros(2, np.float32), float(action == 6), True, False, {}


@pytest.mark.slow
def test_an_environment_from_a_function_learns_and_is_evaluated() -> None:
    agent = PPOAgent(OneStep, n_envs=4, n_steps=32, batch_size=32, learning_rate=0.01, gamma=0.5).learn(4000)
    mean, std = agent.evaluate(20)
    assert (mean, std) == (1.0, 0.0)
    assert agent.predict(np.zeros(2), deterministic=True)[0] == 6


def test_environments_by_id_instance_and_wrapped() -> None:
    env = GymEnv("CartPole-v1", n_envs=3, max_episode_steps=7)
    agent = PPOAgent(env, n_steps=8)
    assert agent.rollouts.source.num_envs == 3 and agent.rollouts.source.horizon == 7
    seen, _ = env.reset(seed=1)
    assert env.observation_space.contains(seen) and len(env.step(env.action_space.sample())) == 5
    env.close()
    made = gymnasium.wrappers.TimeLimit(gymnasium.make("Pendulum-v1"), 11)
    assert PPOAgent(made, n_envs=2).evaluate(2).mean > -11 * 17
    with pytest.raises(PlauditError, match="give a function that makes one"):
        GymEnv(OneStep())


class Half(gymnasium.RewardWrapper):
    """A wrapper as most people write one: Gymnasium does not know what it was made with."""

    def reward(self, reward: Any) -> float:
        return reward / 2


class Doubled(gymnasium.wrappers.TransformReward):
    """Is not made with what its parent is made with."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env, lambda reward: 2 * reward)


def test_an_environment_that_cannot_be_made_again_is_refused() -> None:
    class Nested(gymnasium.wrappers.TransformReward):
        """Nobody finds it by the name of its module."""

    for wrapped in (
        Half(gymnasium.make("CartPole-v1")),
        gymnasium.wrappers.TimeLimit(Half(gymnasium.make("CartPole-v1")), 5),
        Nested(gymnasium.make("CartPole-v1"), lambda reward: reward),
        Doubled(gymnasium.make("CartPole-v1")),
    ):
        said = f"^{type(wrapped).__name__}: no second one can be made .*; give a function that makes one"
        for face in (GymEnv, PPOAgent):
            with pytest.raises(PlauditError, match=said):
                face(wrapped)
    assert small(lambda: Half(gymnasium.make("CartPole-v1"))).learn(16).num_timesteps == 16


def test_a_saved_agent_goes_on_exactly(tmp_path: Path) -> None:
    whole = (
        small("Pendulum-v1", seed=3, normalize_observations=True, normalize_reward=True).learn(48).learn(48)
    )
    first = small("Pendulum-v1", seed=3, normalize_observations=True, normalize_reward=True).learn(48)
    first.save(tmp_path / "agent")
    again = PPOAgent.load(tmp_path / "agent")
    assert again.hyper_parameters == first.hyper_parameters and again.num_timesteps == 48
    assert torch.equal(weights(again.learn(48)), weights(whole))
    assert again.num_timesteps == 96


def rate(remaining: float) -> float:
    return 1e-3 * remaining


def test_a_saved_schedule_must_be_given_again_and_learning_goes_on(tmp_path: Path) -> None:
    agent = small(learning_rate=rate).learn(21)
    agent.save(tmp_path / "agent")
    with pytest.raises(PlauditError, match="learning_rate was a function"):
        PPOAgent.load(tmp_path / "agent")
    again = PPOAgent.load(tmp_path / "agent", learning_rate=rate)
    assert torch.equal(weights(again.learn(32)), weights(agent.learn(32))) and again.num_timesteps == 53


def test_settings_given_anew_keep_what_was_learned(tmp_path: Path) -> None:
    agent = small(normalize_reward=True).learn(32)
    agent.save(tmp_path / "agent")
    slower = PPOAgent.load(tmp_path / "agent", learning_rate=0.0)
    assert torch.equal(slower.learner.updater.optimiser.mean, agent.learner.updater.optimiser.mean)
    assert torch.equal(weights(slower.learn(16)), weights(agent)) and slower.num_timesteps == 48
    wider = PPOAgent.load(tmp_path / "agent", n_envs=3)
    assert wider.rollouts.source.num_envs == 3 and wider.num_timesteps == 32
    assert torch.equal(wider.learner.updater.optimiser.square, agent.learner.updater.optimiser.square)
    wider.learn(7)
    with pytest.raises(PlauditError, match=r"net_arch: the saved policy was made with \(64, 64\)"):
        PPOAgent.load(tmp_path / "agent", net_arch=[8])
    for same in ([64, 64], np.array([64, 64])):
        assert PPOAgent.load(tmp_path / "agent", net_arch=same).num_timesteps == 32


def test_what_no_file_holds_is_asked_for(tmp_path: Path) -> None:
    agent = PPOAgent(OneStep, **SMALL)
    agent.reward = lambda record: -record.environment_rewards
    agent.learn(16).save(tmp_path / "agent")
    with pytest.raises(PlauditError, match=r"its env was a function.*load\(folder, env="):
        PPOAgent.load(tmp_path / "agent")
    PPOAgent.load(tmp_path / "agent", env=OneStep).save(tmp_path / "again")
    lost = PPOAgent.load(tmp_path / "again", env=OneStep)
    assert lost.evaluate(4).mean in (0.0, 1.0)
    with pytest.raises(PlauditError, match=r"reward: .*set agent.reward again"):
        lost.learn(16)
    again = PPOAgent.load(tmp_path / "again", env=OneStep)
    again.reward = agent.reward
    assert torch.equal(weights(again.learn(16)), weights(agent.learn(16)))


def test_a_function_must_make_a_new_environment_each_time() -> None:
    kept = OneStep()
    with pytest.raises(PlauditError, match="gave the same OneStep twice"):
        PPOAgent(lambda: gymnasium.wrappers.TimeLimit(kept, 5), **(SMALL | {"n_envs": 1}))
    with pytest.raises(PlauditError, match="gave a NoneType"):
        PPOAgent(lambda: None)


def test_numbers_of_numpy_and_torch_are_numbers(tmp_path: Path) -> None:
    given = {
        "n_steps": np.int64(8), "learning_rate": torch.tensor(0.5), "gamma": np.float32(0.5), "net_arch": np.array([8]),
    }  # fmt: skip
    small(**given).save(tmp_path / "agent")
    known = PPOAgent.load(tmp_path / "agent").hyper_parameters
    assert {name: known[name] for name in given} == {
        "n_steps": 8, "learning_rate": 0.5, "gamma": 0.5, "net_arch": [8],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["learning_rate", "clip_range", "clip_range_vf"])
def test_a_schedule_that_falls_below_0_is_stopped(name: str) -> None:
    """A negative step size would climb the loss."""
    agent = small(**{name: lambda remaining: remaining - 0.5})
    with pytest.raises(PlauditError, match=rf"{name}\(0.2\): must be at least 0, not -0.3"):
        agent.learn(40)
    with pytest.raises(PlauditError, match=f"{name}: must be at least 0"):
        small(**{name: "lin_-0.1"})


def test_learning_that_diverges_is_told_by_the_names_of_an_agent() -> None:
    agent = small(learning_rate=1e30, max_grad_norm=1e30)
    with pytest.raises(
        PlauditError,
        match=r"^learning has diverged: the weights are no longer finite; lower learning_rate, clip_range or max_grad_norm$",
    ):
        agent.learn(2000)


def test_a_callback_in_the_wrong_place_is_no_progress_bar() -> None:
    with pytest.raises(TypeError):
        small().learn(16, lambda row: None)  # type: ignore[misc]


def test_loading_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="no model saved by plaudit"):
        PPOAgent.load(tmp_path)
    small().save(tmp_path / "agent")
    with pytest.raises(PlauditError, match=r"made for CartPole-v1, not for Pendulum-v1"):
        PPOAgent.load(tmp_path / "agent", env="Pendulum-v1")
    (tmp_path / "agent" / "agent.json").write_text("{")
    with pytest.raises(PlauditError, match="damaged"):
        PPOAgent.load(tmp_path / "agent")


def test_a_progress_bar_and_a_callback_are_told_of_every_update(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[float] = []
    small().learn(40, progress_bar=True, callback=lambda row: seen.append(row["timesteps"]))
    assert seen == [16, 32, 40]
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pendulum", "acrobot", "lunar_lander"])
def test_the_usual_settings_are_those_of_the_examples(name: str) -> None:
    mapping = yaml.safe_load((Path(__file__).parents[2] / "examples" / f"{name}.yaml").read_text())
    example = configs.from_mapping(mapping, name)
    agent = PPOAgent(example.environment.id)
    mine, theirs = dump(agent.config), dump(example)
    assert mine["settings"] == theirs["settings"] and mine["reward"] == theirs["reward"]
    assert mine["environment"] == theirs["environment"]
    same = ("learning_rate", "epochs", "minibatch_size", "max_grad_norm")
    assert {n: mine["trainer"][n] for n in same} == {n: theirs["trainer"][n] for n in same}
    linear = str(agent.hyper_parameters["learning_rate"]).startswith("lin_")
    assert linear == (theirs["trainer"]["schedule"] == "linear")
    agent.close()


def test_every_usual_setting_is_a_known_name() -> None:
    for id in arguments.BY_ENVIRONMENT:
        assert set(arguments.settings(id)) == set(arguments.USUAL)


@pytest.mark.slow
def test_stable_baselines3_evaluates_an_agent() -> None:
    pytest.importorskip("stable_baselines3", reason="stable_baselines3 is not installed")
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    agent = PPOAgent("CartPole-v1").learn(8192)
    venv = make_vec_env("CartPole-v1", n_envs=3, seed=1)
    mean, _ = evaluate_policy(agent, venv, n_eval_episodes=12)
    assert mean == pytest.approx(agent.evaluate(60).mean, rel=0.35) and mean > 60


def test_it_is_made_as_elsewhere_with_a_policy_before_the_environment() -> None:
    env = GymEnv("CartPole-v1")
    for agent in (
        PPOAgent("MlpPolicy", env, **SMALL),
        PPOAgent(env=env, policy="MlpPolicy", **SMALL),
        PPOAgent("MultiInputPolicy", env=env, **SMALL),
    ):
        assert agent.env is env and agent.learn(16).num_timesteps == 16
    for given, sentence in (
        (("CnnPolicy", env), "there is no 'CnnPolicy'"),
        (("MlpPolicy",), "0 environments were given"),
        (("CartPole-v1", "Pendulum-v1"), "2 environments were given"),
    ):
        with pytest.raises(PlauditError, match=sentence):
            PPOAgent(*given)


def test_several_callbacks_are_told() -> None:
    seen: list[list[int]] = [[], []]
    tell = [lambda row, to=to: to.append(row["timesteps"]) for to in seen]
    small("CartPole-v1").learn(32, callback=tell).learn(16, callback=tell[0])
    assert seen[0][: len(seen[1])] == seen[1] and seen[0][-1] == 48 and seen[1][-1] == 32
    with pytest.raises(PlauditError, match="callback: a int cannot be called"):
        small("CartPole-v1").learn(16, callback=[3])  # type: ignore[list-item]


def test_an_environment_of_ours_is_gymnasiums() -> None:
    """By its own checker, that of Stable-Baselines3, its evaluation and its PPO."""
    from gymnasium.utils.env_checker import check_env as gym_check

    env = GymEnv("CartPole-v1")
    assert isinstance(env, gymnasium.Env) and env.unwrapped is env.env.unwrapped and env.spec is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its bounds are infinite, and that it wraps
        gym_check(env, skip_render_check=True)
    pytest.importorskip("stable_baselines3", reason="stable_baselines3 is not installed")
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env
    from stable_baselines3.common.evaluation import evaluate_policy

    check_env(env, skip_render_check=False)
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=1).learn(32)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=2, warn=False)
    assert 1 < float(mean) <= 500
    mean, _ = evaluate_policy(
        PPOAgent("MlpPolicy", env, n_envs=2, n_steps=8), GymEnv("CartPole-v1"), 1, warn=False
    )
    assert 1 < float(mean) <= 500
