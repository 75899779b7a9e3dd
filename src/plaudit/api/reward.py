"""A reward learned from people, for control or for text; each imports only what it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from plaudit.api.feedback import Feedback, as_feedback
from plaudit.errors import PlauditError, placed
from plaudit.readers.judgements import Medium

if TYPE_CHECKING:
    from plaudit.api.agent import PPOAgent
    from plaudit.api.environments import Environment
    from plaudit.api.finetuning import PPO
    from plaudit.models.language.reward_model import TextReward
    from plaudit.models.reward_ensemble import RewardEnsemble

Steps = np.ndarray | torch.Tensor | Sequence[np.typing.ArrayLike]
"""Observations or actions of N steps."""


class RewardModel:
    """`RewardModel.fit(feedback, like=policy)` or `RewardModel.fit(feedback, env="Pendulum-v1")`."""

    def __init__(
        self,
        model: "RewardEnsemble | TextReward",
        medium: Medium,
        metrics: dict[str, float],
        environment: str | None = None,
    ):
        self.model: Any = model
        """The torch module: a `RewardEnsemble` for control, a `TextReward` for text."""
        self.medium = medium
        self.metrics = metrics
        """How well it explains the answers it has learned from (not how well it would others)."""
        self.environment = environment
        """The environment whose behaviour it judges."""

    @classmethod
    def fit(
        cls,
        feedback: Feedback | Sequence[Mapping[str, Any]],
        like: "str | Path | PPO | PPOAgent | None" = None,
        env: "Environment | None" = None,
        seed: int = 0,
    ) -> Self:
        """Learn what people want from what they said, as `plaudit reward FILE` and a live run do: from what
        `load_feedback` returns, or a list of such rows as mappings.

        For text `like` is the policy, or the folder of a language model or reward model, to begin from; for control it
        is the policy, or `env` the environment (or its id) that the feedback is about.
        """
        feedback = as_feedback(feedback)
        if (like is None) == (env is None):
            raise PlauditError("RewardModel.fit: give either like=POLICY or env=ENVIRONMENT")
        if feedback.medium == "text":
            return cls._of_text(feedback, like, seed)
        return cls._of_control(feedback, like if env is None else env, seed)

    @classmethod
    def _of_text(cls, feedback: Feedback, like: object, seed: int) -> Self:
        place = getattr(like, "language_model", like)
        if not isinstance(place, str | Path):
            raise PlauditError(
                f"{feedback.rows[0].where}: this feedback is about texts; give like= a language model or its folder"
            )
        from plaudit.models.language.loading import memory_explained
        from plaudit.runs.streams import threads
        from plaudit.stages import reward

        config = replace(reward.usual("language"), start=str(place), seed=seed)
        with threads(config.threads), memory_explained("the length of the texts"):
            learned = reward.fit(feedback.rows, config)
        return cls(learned.medium.model, "text", learned.metrics)

    @classmethod
    def _of_control(cls, feedback: Feedback, like: object, seed: int) -> Self:
        if getattr(like, "language_model", None) is not None:
            raise PlauditError(
                f"{feedback.rows[0].where}: this feedback is about control segments, but the policy is a language "
                "model; give feedback about texts"
            )
        from plaudit.api.environments import as_env
        from plaudit.runs.streams import threads
        from plaudit.stages import reward

        given: Any = getattr(like, "env", like)
        env = as_env(given)
        source = env.source(1)
        known = source.spaces
        source.close()
        config = replace(reward.usual("control"), seed=seed)
        with threads(config.threads), placed(f"a reward for {env.id}"):
            learned = reward.fit(feedback.rows, config, known)
        return cls(learned.medium.model, "control", learned.metrics, env.id)

    def rewards(self, observations: Steps, actions: Steps, next_observations: Steps) -> np.ndarray:
        """For control: the reward [N] of N steps; discrete actions are one-hot, others as the environment has them."""
        self.refuse_other("control")
        return _of_steps(self.model, observations, actions, next_observations)

    def scores(self, prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
        """For text: what N answers to prompts are worth to a policy."""
        self.refuse_other("text")
        return _of_texts(self.model, prompts, completions)

    def save(self, folder: str | Path) -> None:
        """Write it: for text as AutoModelForSequenceClassification reads it."""
        if self.medium == "text":
            from plaudit.models.language import reward_model

            return reward_model.save(Path(folder), self.model)
        from plaudit.runs import saved

        return saved.save_reward(
            Path(folder), self.model, {"metrics": self.metrics, "environment": self.environment}
        )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """A reward model from its folder, or a run's."""
        for place in (Path(folder), Path(folder) / "reward"):
            if (place / "config.json").exists():
                from plaudit.models.language import reward_model

                return cls(reward_model.trained(str(place)), "text", {})
        from plaudit.runs import saved

        return cls(saved.load_reward(folder), "control", {}, saved.about_reward(folder).get("environment"))

    def refuse_other(self, medium: Medium) -> None:
        """Raise PlauditError where it judges something else."""
        if medium != self.medium:
            raise PlauditError(
                f"reward_model: it judges {self.medium}, but {medium} is wanted; fit one to other feedback"
            )


@torch.no_grad()
def _of_steps(model: "RewardEnsemble", observations: Steps, actions: Steps, successors: Steps) -> np.ndarray:
    """The reward [N] of N steps, each flattened."""
    from plaudit.models.transitions import Transitions

    seen, given, following = (
        torch.from_numpy(np.asarray(array, dtype=np.float32).reshape(len(array), 1, -1))
        for array in (observations, actions, successors)
    )
    known, found = model.spaces, (seen.shape[-1], given.shape[-1])
    if found != (known.observation, known.action) or following.shape != seen.shape:
        raise PlauditError(
            f"reward_model: it knows {known.observation} numbers of observation and {known.action} of action, but was "
            f"given {found[0]} and {found[1]}; fit one to feedback about this environment"
        )
    record = Transitions(seen, given, given, following, torch.zeros(seen.shape[:2]))
    return model.reward(record)[:, 0].numpy()


@torch.no_grad()
def _of_texts(model: "TextReward", prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    """What N answers are worth to a policy."""
    from plaudit.feedback.text_record import TextRecord
    from plaudit.models.language.loading import context_of
    from plaudit.models.language.reward_model import texts
    from plaudit.stages.adapters.language_reward import read

    if len(prompts) != len(completions):
        raise PlauditError(f"completions: {len(completions)} for {len(prompts)} prompts; give one for each")
    most = context_of(model.model) or 1024
    rows = [read(model, TextRecord(*pair), most) for pair in zip(prompts, completions, strict=True)]
    return model.rewards(texts(rows, model.device)).tolist()
