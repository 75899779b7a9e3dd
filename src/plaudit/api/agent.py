"""PPO as an agent, with the names of Stable-Baselines3."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self, TypedDict, Unpack

import numpy as np
import torch

from plaudit.api import keeping, tuned
from plaudit.api.environments import GymEnv, as_env
from plaudit.api.names import divergence_named, plain, positive, refuse_unknown
from plaudit.api.schedules import Schedule, schedule
from plaudit.api.watching import bar
from plaudit.environments.control.actions import to_environment
from plaudit.environments.control.evaluation import at_once, played
from plaudit.environments.control.rollouts import ControlRollouts, Reward, RewardScale, environment_reward
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic
from plaudit.pipeline.control import config as configs
from plaudit.runs import algorithms, aliases
from plaudit.runs.threads import threads
from plaudit.seeds import seed_of
from plaudit.trainers import on_policy


class HyperParameters(TypedDict, total=False):
    """What a PPOAgent takes, by Stable-Baselines3's names; what is not given is as `agent.hyper_parameters` says."""

    learning_rate: "float | str | Schedule"
    """A number, a function of the remaining progress (1 to 0), or a text such as lin_0.001."""
    n_envs: int
    n_steps: int
    batch_size: int
    n_epochs: int
    gamma: float
    gae_lambda: float
    clip_range: "float | str | Schedule"
    clip_range_vf: "float | str | Schedule | None"
    normalize_advantage: bool
    ent_coef: float
    vf_coef: float
    max_grad_norm: float
    target_kl: float | None
    normalize_observations: bool
    """Standardise observations by running statistics, as VecNormalize does."""
    normalize_reward: bool
    """Divide rewards by the running spread of the discounted return, as VecNormalize does."""
    net_arch: "list[int] | tuple[int, ...]"
    log_std_init: float
    seed: int


class Evaluation(NamedTuple):
    """The true return over episodes."""

    mean: float
    std: float


SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")
Watch = Callable[[dict[str, float]], None]


class PPOAgent:
    """`PPOAgent("CartPole-v1").learn(100_000).evaluate()`.

    Unlike elsewhere a budget is exact, and those of several calls add up: the last rollout of a call is cut where the
    budget ends, and unfinished episodes go on in the next call.
    """

    def __init__(self, env: Any, **given: Unpack[HyperParameters]):
        refuse_unknown(given, HyperParameters.__annotations__, "PPOAgent")
        self.env: GymEnv = as_env(env)
        sizes = {} if self.env.n_envs is None else {"n_envs": self.env.n_envs}
        self.hyper_parameters: dict[str, Any] = (
            tuned.settings(self.env.id) | {"seed": 0} | sizes | plain(given)
        )
        self.schedules = {
            name: schedule(value, name)
            for name in SCHEDULED
            if (value := self.hyper_parameters.get(name)) is not None
        }
        self.config = _config(self.env, self.hyper_parameters, self.schedules)
        self.reward: Reward = environment_reward
        """What is optimised: a reward of recorded steps."""
        seed = self.config.seed
        source = self.env.source(self.config.environment.envs)
        scale = (
            RewardScale(source.num_envs, self.config.settings.discount) if self.config.reward.scale else None
        )
        self.control = ControlRollouts(source, self.config.rollout, seed_of(seed, "environment"), scale)
        policy = ActorCritic(self.control.spaces, self.config.policy, _generator(seed, "policy"))
        self.state = on_policy.start(policy, self.config.trainer, _generator(seed, "minibatches"))
        self.drawing = _generator(seed, "predictions")

    @property
    def policy(self) -> ActorCritic:
        """The policy and its critic, a torch module."""
        return self.state.policy

    @property
    def num_timesteps(self) -> int:
        """Environment steps learned from so far, over all calls."""
        return self.state.decisions

    @property
    def metrics(self) -> dict[str, float]:
        """What the last update reported."""
        return self.state.metrics

    def learn(
        self,
        total_timesteps: float | None = None,
        *,
        progress_bar: bool = False,
        callback: Watch | None = None,
    ) -> Self:
        """Learn from exactly so many further environment steps; without a number from one rollout.

        Schedules run from 1 to 0 over the steps of a call; without a number they stay at 1. `callback` is given the
        metrics of every update.
        """
        whole = self.config.rollout * self.config.environment.envs
        budget = whole if total_timesteps is None else positive(total_timesteps, "total_timesteps")
        begun = self.num_timesteps
        steady = divergence_named("learning_rate, clip_range or max_grad_norm")
        with threads(1), steady, bar("learn", budget, progress_bar) as shown:
            while (done := self.num_timesteps - begun) < budget:
                rollout = self.control.collect(self.policy, None, self.reward, budget - done)
                remaining = 1.0 if total_timesteps is None else 1 - done / budget
                on_policy.update(self.state, rollout, self._learner(remaining), remaining)
                shown({"decisions": self.num_timesteps - begun} | self.metrics)
                if callback is not None:
                    callback({"decisions": self.num_timesteps} | self.metrics)
        return self

    @torch.no_grad()
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """An action for one observation, or one for each of a batch, as the environment wants them; and the state.

        The policy has no memory: `state` is handed back as it came. Stable-Baselines3's `evaluate_policy` takes an
        agent as it is.
        """
        space = self.control.source.observation_space
        shape = space.shape or ()
        seen = _numbers(observation)
        single = seen.shape == shape
        if not single and seen.shape[1:] != shape:
            raise PlauditError(
                f"observation: its shape is {seen.shape}, but {self.env.id} gives {shape}, or a batch of these"
            )
        if not np.isfinite(seen).all():
            raise PlauditError("observation: it holds a number that is not finite; mend the environment")
        distribution = self.policy.distribution(
            torch.from_numpy(seen.reshape(1 if single else len(seen), int(np.prod(shape))))
        )
        chosen = distribution.mode() if deterministic else distribution.sample(self.drawing)
        actions = to_environment(chosen.numpy(), self.control.source.action_space)
        return (actions[0] if single else actions), state

    def evaluate(
        self, n_eval_episodes: int = 50, deterministic: bool = True, seed: int | None = None
    ) -> Evaluation:
        """Mean and spread of the true return over episodes, in environments of their own."""
        episodes = positive(n_eval_episodes, "n_eval_episodes")
        source = self.env.source(at_once(episodes, self.config.environment.envs))
        seed = seed_of(self.config.seed, "evaluation") if seed is None else seed
        with threads(1):
            returns = played(self.policy, source, episodes, seed, deterministic)
        return Evaluation(float(returns.mean()), float(returns.std()))

    def save(self, folder: str | Path) -> None:
        """Write the policy, its settings and where learning stands; `load` goes on from there."""
        keeping.save(Path(folder), self)

    @classmethod
    def load(cls, folder: str | Path, env: Any = None, **given: Unpack[HyperParameters]) -> Self:
        """A saved agent, or the policy of a run folder; learning goes on where it stood.

        Settings may be given anew. Another seed, number of environments or scaling of rewards begins new episodes.
        `env` is needed where the agent's came from a function.
        """
        return keeping.load(cls, Path(folder), env, given)

    def adopt(self, policy: ActorCritic) -> None:
        """Go on with another policy of the same environment; what was known of learning is forgotten."""
        self.config = replace(self.config, policy=policy.config)
        self.state = on_policy.start(policy, self.config.trainer, _generator(self.config.seed, "minibatches"))

    def close(self) -> None:
        """Free the environments."""
        self.control.source.close()
        self.env.close()

    def _learner(self, remaining: float) -> on_policy.Learner:
        """PPO with the values that the schedules have now."""
        now = {name: plan(remaining) for name, plan in self.schedules.items()}
        settings = replace(self.config.settings, clip=now["clip_range"], value_clip=now.get("clip_range_vf"))
        trainer = replace(self.config.trainer, learning_rate=now["learning_rate"])
        return on_policy.Learner(algorithms.find(self.config.algorithm), settings, trainer)


def _config(env: GymEnv, named: dict[str, Any], schedules: dict[str, Schedule]) -> configs.RunConfig:
    """The run config of these names; its schedule is constant, as ours are applied to every update."""
    values = named | {name: plan(1.0) for name, plan in schedules.items()}
    environment = (
        {"id": env.id} if env.function is not None else {"id": env.config(1).id, "kwargs": env.kwargs}
    )
    mapping = {"environment": environment, "trainer": {"schedule": "constant"}, **values}
    try:
        return configs.from_mapping(mapping, "PPOAgent")
    except PlauditError as error:
        raise aliases.spoken(error, named, aliases.CONTROL) from None


def _numbers(observation: Any) -> np.ndarray:
    try:
        return np.asarray(observation, dtype=np.float32)
    except (TypeError, ValueError):
        raise PlauditError(
            f"observation: a {type(observation).__name__}, no array of numbers; give what the environment returns"
        ) from None


def _generator(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(seed, purpose))
