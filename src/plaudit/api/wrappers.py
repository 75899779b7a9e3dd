"""A learned reward in place of an environment's own, for other learners: Gymnasium, Stable-Baselines3."""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.utils import RecordConstructorArgs

from plaudit.api.reward import RewardModel
from plaudit.errors import PlauditError

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

TRUE = "true_reward"
"""Where the environment's own reward stands in `info`: nobody learns from it."""


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

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step; an environment is not reset here, so what it returns is the true successor, also at an end."""
        seen = np.array(self._seen)
        following, true, terminated, truncated, info = self.env.step(action)
        given = executed(np.asarray(action)[None], self.env.action_space)
        reward = self.reward_model.rewards(seen[None], given, np.asarray(following)[None])
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
            self.seen = np.array(self.venv.reset())
            return self.seen

        def step_async(self, actions: np.ndarray) -> None:
            self.given = np.array(actions)
            self.venv.step_async(actions)

        def step_wait(self) -> Any:
            reached, true, dones, infos = self.venv.step_wait()
            following = np.array(reached)
            for i in np.flatnonzero(dones):
                following[i] = infos[i]["terminal_observation"]
            given = executed(self.given, self.action_space)
            rewards = reward_model.rewards(self.seen, given, following).astype(np.float32)
            self.seen = np.array(reached)
            return (
                reached,
                rewards,
                dones,
                [info | {TRUE: float(r)} for info, r in zip(infos, true, strict=True)],
            )

    return Learned()


def executed(actions: np.ndarray, space: Any) -> np.ndarray:
    """What an environment was given, as a reward sees it [N, A]: one-hot rows, or numbers within the bounds."""
    if isinstance(space, Discrete):
        return np.eye(int(space.n), dtype=np.float32)[actions.reshape(-1).astype(int) - int(space.start)]
    within = np.clip(np.asarray(actions, dtype=np.float32), space.low, space.high)
    return within.reshape(len(actions), -1)


def _refuse_misfits(reward_model: Any, observations: gymnasium.Space, actions: gymnasium.Space) -> None:
    if not isinstance(reward_model, RewardModel):
        raise PlauditError(
            f"reward_model: a {type(reward_model).__name__}; give what RewardModel.fit or RewardModel.load returns"
        )
    reward_model.refuse_other("control")
    known = reward_model.model.spaces
    size = int(actions.n) if isinstance(actions, Discrete) else int(np.prod(actions.shape or ()))
    found = int(np.prod(observations.shape or ())), size
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
