"""Environments for people who come from Gymnasium: by id, or from a function that makes one; and a learned reward in
place of an environment's own, for other learners.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.utils import RecordConstructorArgs

from plaudit.api.reward import RewardModel
from plaudit.environments.control.make import Control, find, made_by, make
from plaudit.environments.control.spaces import flat, flat_length
from plaudit.environments.control.vector_env import Source
from plaudit.errors import PlauditError

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

TRUE = "true_reward"
"""Where the environment's own reward stands in `info`: nobody learns from it."""


class GymEnv(gymnasium.Wrapper):
    """A Gymnasium environment that can be made as often as it is needed: `GymEnv("CartPole-v1")`.

    Also `GymEnv(function)` of a function that makes one, or `GymEnv(env)` of a registered environment, which is made
    again from its spec. Keyword arguments go to the environment. Whatever takes a `gymnasium.Env` takes it: it acts in
    one environment of its own.
    """

    def __init__(
        self,
        env: "str | Callable[[], gymnasium.Env] | gymnasium.Env",
        n_envs: int | None = None,
        **kwargs: object,
    ):
        self._one: gymnasium.Env | None = None
        self._action_space = self._observation_space = self._metadata = None  # those of the environment
        self.n_envs = n_envs
        """How many an agent runs side by side; none: the agent says."""
        self.kwargs: dict[str, Any] = kwargs
        self.function = None if isinstance(env, str) else _function(env, kwargs)
        self._made: list[ReferenceType[gymnasium.Env]] = []
        self.id = find(env).id if isinstance(env, str) else self._name()
        self._module = env.rpartition(":")[0] if isinstance(env, str) else ""

    def config(self, envs: int) -> Control:
        """The environment as a config file names it."""
        id = f"{self._module}:{self.id}" if self._module else self.id
        return Control(id, envs, kwargs=self.kwargs)

    def source(self, envs: int) -> Source:
        """So many of it, stepping together."""
        return make(self.config(envs)) if self.function is None else made_by(self._new, envs)

    @property
    def env(self) -> gymnasium.Env:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The environment that is acted in, made when it is first needed."""
        if self._one is None:
            self._one = (
                gymnasium.make(self.config(1).id, **self.kwargs) if self.function is None else self._new()
            )
        return self._one

    @property
    def spec(self) -> EnvSpec | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How Gymnasium makes it, where it is registered."""
        return self.env.spec

    def close(self) -> None:
        """Free the environment that was acted in."""
        if self._one is not None:
            self._one.close()
            self._one = None

    def _new(self) -> gymnasium.Env:
        """What the function makes; one that is there already would be stepped by several at once."""
        assert self.function is not None
        one = self.function()
        if not isinstance(one, gymnasium.Env):
            raise PlauditError(f"env: the function gave a {type(one).__name__}, which is no gymnasium.Env")
        self._made = [known for known in self._made if known() is not None]
        if any(known() is one.unwrapped for known in self._made):
            raise PlauditError(
                f"env: the function gave the same {type(one.unwrapped).__name__} twice; make a new one each time it is "
                "called"
            )
        self._made.append(ref(one.unwrapped))
        return one

    def _name(self) -> str:
        """The id, or the class, of what the function makes."""
        one = self._new()
        name = one.spec.id if one.spec is not None else type(one.unwrapped).__name__
        one.close()
        return name


Environment = GymEnv | str | Callable[[], gymnasium.Env] | gymnasium.Env
"""What people give as one."""


def as_env(env: Environment) -> GymEnv:
    """What was given, as a GymEnv."""
    return env if isinstance(env, GymEnv) else GymEnv(env)


def _function(env: object, kwargs: dict[str, Any]) -> Callable[[], gymnasium.Env]:
    if isinstance(env, gymnasium.Env):
        if kwargs:
            raise PlauditError(
                f"{sorted(kwargs)[0]}: the environment is made already; give its id to choose its arguments"
            )
        return _again(env)
    if not callable(env):
        raise PlauditError(
            f"env: {type(env).__name__} is no environment; give a Gymnasium id such as 'CartPole-v1', or a "
            "function that makes one"
        )
    made: Callable[..., Any] = env
    return lambda: made(**kwargs)


def _again(env: gymnasium.Env) -> Callable[[], gymnasium.Env]:
    """What makes another environment like this one, with the wrappers around it."""
    spec = env.spec
    if spec is None:
        raise _lone(env, "it is not registered")

    def make_one() -> gymnasium.Env:
        try:
            return gymnasium.make(spec)
        except (ValueError, TypeError, AttributeError, ImportError, gymnasium.error.Error) as error:
            raise _lone(env, " ".join(str(error).split()).rstrip(".")) from None

    return make_one


def _lone(env: gymnasium.Env, why: str) -> PlauditError:
    """The error for an environment of which Gymnasium makes no second one."""
    return PlauditError(
        f"{type(env).__name__}: no second one can be made to evaluate in ({why}); give a function that makes one: "
        "GymEnv(lambda: ...)"
    )


class RewardWrapper(gymnasium.Wrapper, RecordConstructorArgs):
    """A Gymnasium environment that pays the learned reward; its own is in `info["true_reward"]`."""

    def __init__(self, env: gymnasium.Env, reward_model: RewardModel):
        # so that Gymnasium can make another; the reward is only asked, so all of them share it, uncopied
        RecordConstructorArgs.__init__(self, _disable_deepcopy=True, reward_model=reward_model)
        gymnasium.Wrapper.__init__(self, env)
        _refuse_misfits(reward_model, env.observation_space, env.action_space)
        self.reward_model = reward_model
        self._seen: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        self._seen, info = self.env.reset(seed=seed, options=options)
        return self._seen, info

    def step(self, action: np.typing.ArrayLike) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step; an environment is not reset here, so what it returns is the true successor, also at an end."""
        space = self.env.observation_space
        seen = row(space, self._seen)
        following, true, terminated, truncated, info = self.env.step(action)
        given = executed(np.asarray(action)[None], self.env.action_space)
        reward = self.reward_model.rewards(seen[None], given, row(space, following)[None])
        self._seen = following
        return following, float(reward[0]), terminated, truncated, info | {TRUE: float(true)}


def sb3_reward_wrapper(venv: "VecEnv", reward_model: RewardModel) -> "VecEnvWrapper":
    """A Stable-Baselines3 vector environment that pays the learned reward; its own is in `infos[i]["true_reward"]`.

    Where an episode ended, the reward is that of the step into its last observation, not into the next episode's first.
    """
    vec_env = _stable_baselines()
    if not isinstance(venv, vec_env.VecEnv):
        raise PlauditError(
            f"venv: a {type(venv).__name__} is no vector environment of stable_baselines3; make one with make_vec_env"
        )
    _refuse_misfits(reward_model, venv.observation_space, venv.action_space)

    class Learned(vec_env.VecEnvWrapper):
        """Its class is made here, as its parent is optional."""

        def __init__(self) -> None:
            super().__init__(venv)
            self.seen: Any = None
            self.given: Any = None

        def reset(self) -> Any:
            reached = self.venv.reset()
            self.seen = rows(venv.observation_space, reached, venv.num_envs)
            return reached

        def step_async(self, actions: np.ndarray) -> None:
            self.given = np.array(actions)
            self.venv.step_async(actions)

        def step_wait(self) -> Any:
            reached, true, dones, infos = self.venv.step_wait()
            space = venv.observation_space
            here = rows(space, reached, venv.num_envs)
            following = here.copy()
            for i in np.flatnonzero(dones):
                following[i] = row(space, infos[i]["terminal_observation"])
            given = executed(self.given, self.action_space)
            rewards = reward_model.rewards(self.seen, given, following).astype(np.float32)
            self.seen = here
            return (
                reached,
                rewards,
                dones,
                [info | {TRUE: float(r)} for info, r in zip(infos, true, strict=True)],
            )

    return Learned()


def row(space: gymnasium.Space, observation: object) -> np.ndarray:
    """A copy of an observation as a reward sees it: flattened where it is no array of numbers."""
    return np.array(observation) if isinstance(space, Box) else flat(space, observation)


def rows(
    space: gymnasium.Space, observations: np.ndarray | Mapping[str, np.ndarray], count: int
) -> np.ndarray:
    """Those of several environments, [N, ...]."""
    if isinstance(space, Box):
        return np.array(observations)
    if isinstance(observations, Mapping):
        ones: list[object] = [{key: part[i] for key, part in observations.items()} for i in range(count)]
    else:
        ones = list(observations)
    return np.stack([flat(space, one) for one in ones])


def executed(actions: np.ndarray, space: Any) -> np.ndarray:
    """What an environment was given, as a reward sees it [N, A]: one-hot rows, or numbers within the bounds."""
    if isinstance(space, Discrete):
        return np.eye(int(space.n), dtype=np.float32)[actions.reshape(-1).astype(int) - int(space.start)]
    if isinstance(space, MultiDiscrete | MultiBinary):
        return np.stack([flat(space, one) for one in actions]).astype(np.float32)
    within = np.clip(np.asarray(actions, dtype=np.float32), space.low, space.high)
    return within.reshape(len(actions), -1)


def _refuse_misfits(reward_model: object, observations: gymnasium.Space, actions: gymnasium.Space) -> None:
    if not isinstance(reward_model, RewardModel):
        raise PlauditError(
            f"reward_model: a {type(reward_model).__name__}; give what RewardModel.fit or RewardModel.load returns"
        )
    reward_model.refuse_other("control")
    known = reward_model.model.spaces
    found = flat_length(observations), flat_length(actions)
    if found != (known.observation, known.action):
        raise PlauditError(
            f"reward_model: it judges {reward_model.environment or 'an environment'} with {known.observation} numbers "
            f"of observation and {known.action} of action, but this one has {found[0]} and {found[1]}; fit one for it"
        )


def _stable_baselines() -> ModuleType:
    try:
        from stable_baselines3.common import vec_env
    except ModuleNotFoundError:
        raise PlauditError(
            "sb3_reward_wrapper needs stable_baselines3, which is not installed; install it with: pip install "
            "stable_baselines3"
        ) from None
    return vec_env
