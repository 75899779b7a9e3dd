"""An environment for people who come from Gymnasium: by its id, or from a function that makes one."""

from collections.abc import Callable
from typing import Any
from weakref import ReferenceType, ref

import gymnasium
import numpy as np

from plaudit.environments.control.make import Control, find, made_by, make
from plaudit.environments.control.vector_env import Source
from plaudit.errors import PlauditError


class GymEnv:
    """A Gymnasium environment, made as often as it is needed: `GymEnv("CartPole-v1")`.

    Also `GymEnv(function)` of a function that makes one, or `GymEnv(env)` of a registered environment, which is made
    again from its spec. Keyword arguments go to the environment. To act by hand there are `reset`, `step`, `render`
    and `close` of one environment of its own.
    """

    def __init__(
        self,
        env: "str | Callable[[], gymnasium.Env] | gymnasium.Env",
        n_envs: int | None = None,
        **kwargs: Any,
    ):
        self.n_envs = n_envs
        """How many an agent runs side by side; none: the agent says."""
        self.kwargs = kwargs
        self.function = None if isinstance(env, str) else _function(env, kwargs)
        self._made: list[ReferenceType[gymnasium.Env]] = []
        self.id = find(env).id if isinstance(env, str) else self._name()
        self._module = env.rpartition(":")[0] if isinstance(env, str) else ""
        self._one: gymnasium.Env | None = None

    def config(self, envs: int) -> Control:
        """The environment as a config file names it."""
        id = f"{self._module}:{self.id}" if self._module else self.id
        return Control(id, envs, kwargs=self.kwargs)

    def source(self, envs: int) -> Source:
        """So many of it, stepping together."""
        return make(self.config(envs)) if self.function is None else made_by(self._new, envs)

    @property
    def one(self) -> gymnasium.Env:
        """One environment to act in by hand."""
        if self._one is None:
            self._one = (
                gymnasium.make(self.config(1).id, **self.kwargs) if self.function is None else self._new()
            )
        return self._one

    @property
    def observation_space(self) -> gymnasium.Space:
        """Of one environment."""
        return self.one.observation_space

    @property
    def action_space(self) -> gymnasium.Space:
        """Of one environment."""
        return self.one.action_space

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode."""
        return self.one.reset(seed=seed)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Act."""
        observation, reward, terminated, truncated, info = self.one.step(action)
        return observation, float(reward), terminated, truncated, info

    def render(self) -> Any:
        """A picture, where `render_mode` was given."""
        return self.one.render()

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


def as_env(env: Any) -> GymEnv:
    """What was given, as a GymEnv."""
    return env if isinstance(env, GymEnv) else GymEnv(env)


def _function(env: Any, kwargs: dict[str, Any]) -> Callable[[], gymnasium.Env]:
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
