"""A trained policy that learns further from feedback: a control policy or a language model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from plaudit.api.feedback import Feedback
from plaudit.api.reward import RewardModel
from plaudit.errors import PlauditError

STEPS = 100_000
"""Environment steps, unless `total_timesteps` says."""


class PPO:
    """`PPO(path).finetune_with_rlhf(feedback, reward_model).save(folder)`.

    `path` is a control policy saved by plaudit, a causal language model in the transformers layout, or a run folder.
    """

    def __init__(self, path: str | Path, seed: int = 0):
        self.path, self.seed = Path(path).expanduser(), seed
        self._tuner = ControlTuner(self.path, seed) if _is_control(self.path) else _of_language(path, seed)

    @property
    def medium(self) -> str:
        """text or control."""
        return self._tuner.medium

    @property
    def language_model(self) -> str | None:
        """The folder of the language model; none for control."""
        return getattr(self._tuner, "place", None)

    @property
    def env(self) -> Any:
        """The environment of a control policy; none for a language model."""
        return getattr(self._tuner, "env", None)

    @property
    def policy(self) -> Any:
        """The torch module: an `ActorCritic`, or the transformers model."""
        return self._tuner.policy

    @property
    def metrics(self) -> dict[str, float]:
        """What the last update reported."""
        return self._tuner.metrics

    def finetune_with_rlhf(
        self, feedback: Feedback, reward_model: RewardModel, progress_bar: bool = False, **settings: Any
    ) -> Self:
        """Optimise the learned reward by PPO: in the policy's environment, or on the prompts of the feedback.

        `settings` for control: `total_timesteps` and whatever PPOAgent takes; for language: `updates` and whatever
        PPOConfig takes. There the policy pays for its distance to the model as it was (`kl_coef`).
        """
        for name, value, kind in (
            ("feedback", feedback, Feedback),
            ("reward_model", reward_model, RewardModel),
        ):
            if not isinstance(value, kind):
                raise PlauditError(f"{name}: a {type(value).__name__} was given; give a {kind.__name__}")
        reward_model.refuse_other("control" if self.medium == "control" else "text")
        if feedback.medium != self.medium:
            raise PlauditError(
                f"{feedback.place}: this feedback is about {feedback.medium}, but the policy is for {self.medium}; "
                "give feedback about what the policy does"
            )
        self._tuner.tune(feedback, reward_model, progress_bar, settings)
        return self

    def save(self, folder: str | Path) -> Self:
        """Write the policy in the form it was read in."""
        self._tuner.save(Path(folder))
        return self


def _is_control(path: Path) -> bool:
    return any((folder / "plaudit.json").exists() for folder in (path, path / "policy"))


def _of_language(path: str | Path, seed: int) -> Any:
    from plaudit.api.language_finetuning import LanguageTuner

    inner = Path(path) / "policy"
    return LanguageTuner(str(inner if (inner / "config.json").exists() else path), seed)


class ControlTuner:
    """A policy in the environment it was made for."""

    medium = "control"

    def __init__(self, path: Path, seed: int):
        from plaudit.api.environments import GymEnv  # a machine for language has no environments
        from plaudit.runs import saved

        made_in = saved.environment_of(path)
        self.env, self.seed = GymEnv(made_in.id, **made_in.kwargs), seed
        self.environment = made_in
        self.policy = saved.load_policy(path)
        self.metrics: dict[str, float] = {}

    def tune(
        self, feedback: Feedback, reward: RewardModel, progress_bar: bool, settings: Mapping[str, Any]
    ) -> None:
        """Optimise the learned reward."""
        from plaudit.api.agent import PPOAgent, refuse_other_networks

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
        from plaudit.runs import saved

        saved.save_policy(folder, self.policy, self.environment)
