"""PPO as an agent, with the names of Stable-Baselines3; an agent is a folder, too."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self, Unpack

import numpy as np
import torch
from torch import Tensor

from plaudit.api import arguments
from plaudit.api.arguments import (
    HyperParameters,
    Schedule,
    Watch,
    bar,
    callbacks,
    divergence_named,
    plain,
    positive,
    refuse_unknown,
    schedule,
)
from plaudit.api.environments import Environment, GymEnv, as_env
from plaudit.batches import Rewards
from plaudit.environments.control.config import Control
from plaudit.environments.control.rollouts import ControlRollouts, RecordReward, Trajectories, at_once, played
from plaudit.environments.control.spaces import MASK, flat_given, legal
from plaudit.environments.control.wrappers import to_environment
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic, PolicyConfig
from plaudit.models.transitions import Transitions
from plaudit.rewards.control import paid
from plaudit.rewards.weighted import Fixed, Part, RewardSource, Scaled, Weighted
from plaudit.runs import algorithms, aliases, saved
from plaudit.runs import config as configs
from plaudit.runs.checkpoint import load_tree, save_tree
from plaudit.runs.streams import generator, threads
from plaudit.seeds import seed_of
from plaudit.storage.artifacts import write_whole
from plaudit.trainers.on_policy import Algorithm, OnPolicy, Updater

SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")
POLICIES = ("MlpPolicy", "MultiInputPolicy")
"""What ours are called in Stable-Baselines3: several observations are flattened into one."""
CARD, LEARNING = "agent.json", "learning"
FUNCTION = "a function"
"""In place of a schedule, an environment or a reward that no file can hold."""
BEGINNING = ("n_envs", "normalize_reward", "seed")
"""Settings that the running episodes depend on."""


class Evaluation(NamedTuple):
    """The true return over episodes."""

    mean: float
    std: float


def environment_reward(record: Transitions) -> Tensor:
    """The environment's own reward of every recorded step, [B, T]."""
    return record.environment_rewards


class PPOAgent:
    """`PPOAgent("CartPole-v1").learn(100_000).evaluate()`; also `PPOAgent("MlpPolicy", env)`, as elsewhere.

    Unlike elsewhere a budget is exact, and those of several calls add up: the last rollout of a call is cut where the
    budget ends, and unfinished episodes go on in the next call.
    """

    def __init__(
        self,
        *place: Environment,
        env: Environment | None = None,
        policy: str = "MlpPolicy",
        **given: Unpack[HyperParameters],
    ):
        refuse_unknown(given, HyperParameters.__annotations__, "PPOAgent")
        self.env: GymEnv = as_env(_placed(place, env, policy))
        sizes = {} if self.env.n_envs is None else {"n_envs": self.env.n_envs}
        self.hyper_parameters: dict[str, Any] = (
            arguments.settings(self.env.id) | {"seed": 0} | sizes | plain(given)
        )
        self.schedules = {
            name: schedule(value, name)
            for name in SCHEDULED
            if (value := self.hyper_parameters.get(name)) is not None
        }
        self.config = _config(self.env, self.hyper_parameters, self.schedules)
        self.reward: RecordReward = environment_reward
        """What is optimised: a reward of recorded steps."""
        assert isinstance(self.config.environment, Control)
        self.environment, seed = self.config.environment, self.config.seed
        source = self.env.source(self.environment.envs)
        self.rollouts = ControlRollouts(
            source, self.environment.n_steps, seed_of(seed, "environment"),
            discount=self.environment.discount,
        )  # fmt: skip
        networks = ActorCritic(self.rollouts.spaces, self.config.policy, generator(seed, "policy"))
        self.learner = OnPolicy(_updater(networks, self.config), self.rollouts, _rewards(self), budget=0)
        """Its budget grows with every call of `learn`."""
        self.drawing = generator(seed, "predictions")

    @property
    def policy(self) -> ActorCritic:
        """The policy and its critic, a torch module."""
        return self.learner.policy

    @property
    def num_timesteps(self) -> int:
        """Environment steps learned from so far, over all calls."""
        return self.learner.spent

    @property
    def metrics(self) -> dict[str, float]:
        """What the last update reported."""
        return self.learner.updater.metrics

    def learn(
        self,
        total_timesteps: float | None = None,
        *,
        progress_bar: bool | None = None,
        callback: Watch | Sequence[Watch] | None = None,
    ) -> Self:
        """Learn from exactly so many further environment steps; without a number from one rollout.

        Schedules run from 1 to 0 over the steps of a call; without a number they stay at 1. `callback`, one or several,
        is given the metrics of every update. A bar is shown where a number is given and somebody looks on, or as
        `progress_bar` says.
        """
        told = callbacks(callback)
        looked_at = total_timesteps is not None and sys.stderr.isatty()
        wanted = looked_at if progress_bar is None else progress_bar
        learner, begun = self.learner, self.num_timesteps
        budget = (
            self.rollouts.size if total_timesteps is None else positive(total_timesteps, "total_timesteps")
        )
        learner.budget = begun + budget
        steady = divergence_named("learning_rate, clip_range or max_grad_norm")
        with threads(1), steady, bar("learn", budget, wanted, "timesteps") as shown:
            while not learner.done:
                self._schedule(1.0 if total_timesteps is None else 1 - (self.num_timesteps - begun) / budget)
                found = learner.step()
                shown({"timesteps": self.num_timesteps - begun} | found)
                for tell in told:
                    tell({"timesteps": self.num_timesteps} | found)
        return self

    @torch.no_grad()
    def predict(
        self,
        observation: np.typing.ArrayLike,
        state: object = None,
        episode_start: object = None,
        deterministic: bool = False,
        action_masks: np.typing.ArrayLike | None = None,
    ) -> tuple[np.ndarray, Any]:
        """An action for one observation, or one for each of a batch, as the environment wants them; and the state.

        `action_masks` say which actions are legal, as the environment's `info["action_mask"]` does, one for each
        observation. The policy has no memory: `state` is handed back as it came. Stable-Baselines3's
        `evaluate_policy` takes an agent as it is.
        """
        source = self.rollouts.source
        shape = source.observation_space.shape or ()
        seen = flat_given(source.own_space, observation).astype(np.float32, copy=False)
        single = seen.shape == shape
        if not single and seen.shape[1:] != shape:
            raise PlauditError(
                f"observation: its shape is {seen.shape}, but {self.env.id} gives {shape}, or a batch of these"
            )
        if not np.isfinite(seen).all():
            raise PlauditError("observation: it holds a number that is not finite; mend the environment")
        count = 1 if single else len(seen)
        distribution = self.policy.distribution(torch.from_numpy(seen.reshape(count, int(np.prod(shape)))))
        if action_masks is not None:
            given = np.asarray(action_masks).reshape(count, -1)
            infos = {MASK: given, f"_{MASK}": np.ones(count, dtype=bool)}
            allowed = legal(infos, np.ones(count, dtype=bool), source.action_space, "action_masks")
            distribution = distribution if allowed is None else distribution.among(torch.from_numpy(allowed))
        chosen = distribution.mode() if deterministic else distribution.sample(self.drawing)
        actions = to_environment(chosen.numpy(), source.action_space)
        return (actions[0] if single else actions), state

    def evaluate(
        self, n_eval_episodes: int = 50, deterministic: bool = True, seed: int | None = None
    ) -> Evaluation:
        """Mean and spread of the true return over episodes, in environments of their own."""
        episodes = positive(n_eval_episodes, "n_eval_episodes")
        source = self.env.source(at_once(episodes, self.environment.envs))
        seed = seed_of(self.config.seed, "evaluation") if seed is None else seed
        with threads(1):
            returns = played(self.policy, source, episodes, seed, deterministic)
        return Evaluation(float(returns.mean()), float(returns.std()))

    def save(self, folder: str | Path) -> None:
        """Write the policy, its settings and where learning stands; `load` goes on from there.

        Every command of plaudit reads the policy, such as `plaudit evaluate`.
        """
        folder = Path(folder)
        saved.save_policy(folder, self.policy, self.environment)
        settings = {name: FUNCTION if callable(v) else v for name, v in self.hyper_parameters.items()}
        card: dict[str, Any] = {"hyper_parameters": settings}
        card |= {} if self.env.function is None else {"env": FUNCTION}
        card |= {} if self.reward is environment_reward else {"reward": FUNCTION}
        write_whole(folder / CARD, json.dumps(card, indent=2) + "\n")
        state = {"learner": self.learner.state_dict(), "drawing": self.drawing.get_state()}
        save_tree(folder / LEARNING, state)

    @classmethod
    def load(
        cls, folder: str | Path, env: Environment | None = None, **given: Unpack[HyperParameters]
    ) -> Self:
        """A saved agent, or the policy of a run folder; learning goes on where it stood.

        Settings may be given anew. Another seed, number of environments or scaling of rewards begins new episodes.
        `env` is needed where the agent's came from a function.
        """
        folder = Path(folder)
        made_in, card = saved.environment_of(folder), _card(folder)
        known = card.get("hyper_parameters", {}) | dict(given)
        needed = known | {"env": card.get("env") if env is None else env}
        lost = next((name for name, v in needed.items() if isinstance(v, str) and v == FUNCTION), None)
        if lost is not None:
            raise PlauditError(
                f"{folder}: its {lost} was a function, which no file holds; give it again: load(folder, {lost}=...)"
            )
        agent = cls(GymEnv(made_in.id, **made_in.kwargs) if env is None else env, **known)
        policy = saved.load_policy(folder, agent.env.id, agent.rollouts.spaces)
        refuse_other_networks(given, agent.config.policy, policy.config)
        agent.adopt(policy)
        if "reward" in card:
            agent.reward = forgotten
        if (folder / LEARNING).exists():
            fresh = any(name in given for name in BEGINNING)
            _go_on(agent, load_tree(folder / LEARNING), folder / LEARNING, fresh)
        return agent

    def adopt(self, policy: ActorCritic) -> None:
        """Go on with another policy of the same environment; what was known of learning is forgotten."""
        self.config = replace(self.config, policy=policy.config)
        self.learner = OnPolicy(_updater(policy, self.config), self.rollouts, _rewards(self), budget=0)

    def close(self) -> None:
        """Free the environments."""
        self.rollouts.source.close()
        self.env.close()

    def _schedule(self, remaining: float) -> None:
        """Give PPO the values that the schedules have now."""
        now = {name: plan(remaining) for name, plan in self.schedules.items()}
        settings = replace(self.config.settings, clip=now["clip_range"], value_clip=now.get("clip_range_vf"))
        updater = self.learner.updater
        updater.algorithm = replace(updater.algorithm, settings=settings)
        updater.config = replace(self.config.trainer, learning_rate=now["learning_rate"])


def _placed(place: tuple[Environment, ...], env: Environment | None, policy: str) -> Environment:
    """The environment among what was given by place, where a policy may stand before it, and by name."""
    given = [*place, *([] if env is None else [env])]
    if given and isinstance(given[0], str) and given[0].endswith("Policy"):
        policy = given.pop(0)  # type: ignore[assignment]
    if policy not in POLICIES:
        raise PlauditError(
            f"policy: there is no {policy!r}; leave it out, or give MlpPolicy and the sizes of its layers as net_arch"
        )
    if len(given) != 1:
        raise PlauditError(
            f"PPOAgent: {len(given)} environments were given; give one, such as PPOAgent('CartPole-v1')"
        )
    return given[0]


def refuse_other_networks(given: Mapping[str, Any], wanted: PolicyConfig, there: PolicyConfig) -> None:
    """Raise PlauditError where a setting of the networks was given that those of a saved policy do not have."""
    for name in given:
        part, _, field = (
            aliases.CONTROL[name].field.partition(".") if name in aliases.CONTROL else ("", "", "")
        )
        if part == "policy" and getattr(wanted, field) != getattr(there, field):
            raise PlauditError(
                f"{name}: the saved policy was made with {getattr(there, field)}, which cannot change; leave it out"
            )


def forgotten(record: Transitions) -> Tensor:
    """In place of a reward that no file can hold: without it, learning would go on for another one unasked."""
    raise PlauditError(
        "reward: the saved agent learned from a reward of its own, which no file holds; set agent.reward again, or to "
        "plaudit.agents.environment_reward"
    )


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


def _updater(policy: ActorCritic, config: configs.RunConfig) -> Updater:
    algorithm = Algorithm(algorithms.find(config.algorithm), config.settings, config.algorithm)
    return Updater(policy, algorithm, config.trainer, generator(config.seed, "minibatches"))


def _rewards(agent: PPOAgent) -> RewardSource:
    """Whatever the agent's reward is at the time; scaled where that is set."""

    def pay(behaviour: Trajectories) -> Rewards:
        return paid(agent.reward(behaviour.record), behaviour.mask)

    mix, config = Weighted({"reward": Part(1.0, Fixed(pay))}), agent.config
    if not config.reward.normalise:
        return mix
    return Scaled(mix, agent.environment.envs, config.settings.discount)


def _card(folder: Path) -> dict[str, Any]:
    """What is known of a saved agent; nothing of a policy that no agent saved."""
    if not (folder / CARD).exists():
        return {}
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        return dict(card) | {"hyper_parameters": dict(card["hyper_parameters"])}
    except (ValueError, KeyError, TypeError) as error:
        raise PlauditError(f"{folder / CARD}: damaged ({error!r}); restore it from a copy") from None


def _go_on(agent: PPOAgent, tree: dict[str, Any], place: Path, fresh: bool) -> None:
    """Learning stands where it stood; `fresh`: but in new episodes, with new draws."""
    learner = agent.learner
    try:
        state = _as_it_is(tree, agent)["learner"]
        if fresh:
            updater = learner.updater
            updater.optimiser.load_state_dict(state["updater"]["optimiser"])
            updater.updates, updater.decisions = state["updater"]["updates"], state["updater"]["decisions"]
            learner.spent = state["spent"]
        else:
            learner.load_state_dict(state)
            agent.drawing.set_state(tree["drawing"])
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise PlauditError(
            f"{place}: does not fit the policy ({' '.join(str(error).split())}); delete this folder to begin learning "
            "anew"
        ) from None


def _as_it_is(tree: dict[str, Any], agent: PPOAgent) -> dict[str, Any]:
    """What an agent of the version before has saved, in today's shape."""
    if "learner" in tree:
        return tree
    collecting = dict(tree["control"])
    scale, source = collecting.pop("reward_scale", None), {"reward": {}}
    updater = {name: tree[name] for name in ("optimiser", "generator", "updates", "decisions")}
    updater |= {"policy": agent.policy.trainable(), "kl_coef": None}
    rewards = {**scale, "source": source} if scale else source
    learner = {"updater": updater, "rollouts": collecting, "rewards": rewards, "spent": tree["decisions"]}
    return {"learner": learner}
