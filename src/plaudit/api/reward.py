"""A reward learned from people, for control or for text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from plaudit.api.feedback import Feedback
from plaudit.errors import PlauditError
from plaudit.readers.judgements import Medium


class RewardModel:
    """`RewardModel.fit(feedback, like=policy)` or `RewardModel.fit(feedback, env="Pendulum-v1")`."""

    def __init__(self, model: Any, medium: Medium, metrics: dict[str, float], environment: str | None = None):
        self.model = model
        """The torch module: a `RewardEnsemble` for control, a `TextReward` for text."""
        self.medium = medium
        self.metrics = metrics
        """How well it explains the answers it has learned from (not how well it would others)."""
        self.environment = environment
        """The environment whose behaviour it judges."""

    @classmethod
    def fit(cls, feedback: Feedback, like: Any = None, env: Any = None, seed: int = 0) -> Self:
        """Learn what people want from what they said.

        For text `like` is the policy, or the folder of a language model or reward model, to begin from; for control it
        is the policy, or `env` the environment (or its id) that the feedback is about.
        """
        if not isinstance(feedback, Feedback):
            raise PlauditError(
                f"feedback: a {type(feedback).__name__}; give what plaudit.load_feedback(path) returns"
            )
        if (like is None) == (env is None):
            raise PlauditError("RewardModel.fit: give either like=POLICY or env=ENVIRONMENT")
        if feedback.medium == "text":
            return cls._of_text(feedback, like, seed)
        return cls._of_control(feedback, like if env is None else env, seed)

    @classmethod
    def _of_text(cls, feedback: Feedback, like: Any, seed: int) -> Self:
        place = getattr(like, "language_model", like)
        if not isinstance(place, str | Path):
            raise PlauditError(
                f"{feedback.rows[0].where}: this feedback is about texts; give like= a language model or its folder"
            )
        from plaudit.pipeline.language import judged

        model, metrics = judged.learn(feedback.rows, judged.JudgedConfig(str(place), seed=seed))
        return cls(model, "text", metrics)

    @classmethod
    def _of_control(cls, feedback: Feedback, like: Any, seed: int) -> Self:
        if getattr(like, "language_model", None) is not None:
            raise PlauditError(
                f"{feedback.rows[0].where}: this feedback is about control segments, but the policy is a language "
                "model; give feedback about texts"
            )
        from plaudit.api.environments import as_env
        from plaudit.environments.control.rollouts import spaces
        from plaudit.pipeline.control import judged

        env = as_env(getattr(like, "env", like))
        source = env.source(1)
        try:
            known = spaces(source)
        finally:
            source.close()
        model, metrics = judged.learn(feedback.rows, known, judged.JudgedConfig(seed=seed), env.id)
        return cls(model, "control", metrics, env.id)

    def rewards(self, observations: Any, actions: Any, next_observations: Any) -> np.ndarray:
        """For control: the reward [N] of N steps; discrete actions are one-hot, others as the environment has them."""
        from plaudit.api.rewards import of_steps

        self.refuse_other("control")
        return of_steps(self.model, observations, actions, next_observations)

    def scores(self, prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
        """For text: what N answers to prompts are worth to a policy."""
        from plaudit.api.rewards import of_texts

        self.refuse_other("text")
        return of_texts(self.model, prompts, completions)

    def save(self, folder: str | Path) -> None:
        """Write it: for text as AutoModelForSequenceClassification reads it."""
        from plaudit.api.rewards import save

        save(Path(folder), self.model, {"metrics": self.metrics, "environment": self.environment})

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """A reward model from its folder."""
        from plaudit.api.rewards import load

        model, medium, environment = load(Path(folder))
        return cls(model, medium, {}, environment)

    def refuse_other(self, medium: Medium) -> None:
        """Raise PlauditError where it judges something else."""
        if medium != self.medium:
            raise PlauditError(
                f"reward_model: it judges {self.medium}, but {medium} is wanted; fit one to other feedback"
            )
