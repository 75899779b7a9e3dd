"""A saved control policy that learns further from a learned reward."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plaudit.api.agent import PPOAgent
from plaudit.api.environments import GymEnv
from plaudit.api.feedback import Feedback
from plaudit.api.keeping import refuse_other_networks
from plaudit.api.reward import RewardModel
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic
from plaudit.runs import saved

STEPS = 100_000
"""Environment steps, unless `total_timesteps` says."""


class ControlTuner:
    """A policy in the environment it was made for."""

    medium = "control"

    def __init__(self, path: Path, seed: int):
        made_in = saved.environment_of(path)
        self.env, self.seed = GymEnv(made_in.id, **made_in.kwargs), seed
        self.environment = made_in
        self.policy: ActorCritic = saved.load_policy(path)
        self.metrics: dict[str, float] = {}

    def tune(
        self, feedback: Feedback, reward: RewardModel, progress_bar: bool, settings: Mapping[str, Any]
    ) -> None:
        """Optimise the learned reward."""
        rest = {"seed": self.seed, "normalize_reward": True, **settings}
        steps = rest.pop("total_timesteps", STEPS)
        if not self.policy.config.critic:
            raise PlauditError("the policy has no critic, which PPO needs; train it with policy.critic: true")
        judged, acted = reward.model.spaces, self.policy.spaces
        if (judged.observation, judged.action) != (acted.observation, acted.action):
            raise PlauditError(
                f"reward_model: it judges {reward.environment}, but the policy acts in {self.env.id}; fit one for it"
            )
        agent = PPOAgent(self.env, **rest)
        try:
            refuse_other_networks(rest, agent.config.policy, self.policy.config)
            agent.adopt(self.policy)
            agent.reward = reward.model.reward
            agent.learn(steps, progress_bar=progress_bar)
        finally:
            agent.close()
        self.metrics = agent.metrics

    def save(self, folder: Path) -> None:
        """Write the policy with the environment it was made for."""
        saved.save_policy(folder, self.policy, self.environment)
