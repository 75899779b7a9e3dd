"""A reward learned from people, for control or for text; each imports only what it needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from plaudit.errors import PlauditError, placed
from plaudit.readers.judgements import Judged, Kind, Medium, read_judgements


@dataclass(frozen=True)
class Feedback:
    """Answers of one kind about texts, or about control segments."""

    rows: tuple[Judged, ...]
    place: str
    """Where it was read from."""

    @property
    def kind(self) -> Kind:
        """comparison, ranking or rating."""
        return self.rows[0].kind

    @property
    def medium(self) -> Medium:
        """text or control."""
        return self.rows[0].medium

    def __len__(self) -> int:
        """How many answers there are."""
        return len(self.rows)

    def __repr__(self) -> str:
        """What it is, without its rows."""
        return f"Feedback({len(self)} {self.kind}s about {self.medium}, from {self.place})"


def load_feedback(path: str | Path, kind: Kind | None = None) -> Feedback:
    """Comparisons, rankings or ratings from JSONL (also .json, .csv and .gz): see `plaudit.readers.judgements`.

    `kind` chooses one where a file holds several. Raises PlauditError, naming the line, for what cannot be used.
    """
    rows = read_judgements(Path(path))
    if kind is not None:
        rows = [row for row in rows if row.kind == kind]
        if not rows:
            raise PlauditError(f"{path}: there is no {kind} in it; leave out kind, or give another file")
    for row in rows:
        if row.kind != rows[0].kind:
            raise PlauditError(
                f"{row.where}: a {row.kind}, but the file begins with a {rows[0].kind}; choose one kind: "
                f"load_feedback({str(path)!r}, kind={row.kind!r})"
            )
        if row.medium != rows[0].medium:
            raise PlauditError(
                f"{row.where}: about {row.medium}, but the file begins with {rows[0].medium}; part the file"
            )
    return Feedback(tuple(rows), str(path))


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
        """Learn what people want from what they said, as `plaudit reward FILE` and a live run do.

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
        from plaudit.models.language.loading import memory_explained
        from plaudit.runs.streams import threads
        from plaudit.stages import reward

        config = replace(reward.usual("language"), start=str(place), seed=seed)
        with threads(config.threads), memory_explained("the length of the texts"):
            learned = reward.fit(feedback.rows, config)
        return cls(learned.medium.model, "text", learned.metrics)

    @classmethod
    def _of_control(cls, feedback: Feedback, like: Any, seed: int) -> Self:
        if getattr(like, "language_model", None) is not None:
            raise PlauditError(
                f"{feedback.rows[0].where}: this feedback is about control segments, but the policy is a language "
                "model; give feedback about texts"
            )
        from plaudit.api.environments import as_env
        from plaudit.environments.control.rollouts import spaces
        from plaudit.runs.streams import threads
        from plaudit.stages import reward

        env = as_env(getattr(like, "env", like))
        source = env.source(1)
        try:
            known = spaces(source)
        finally:
            source.close()
        config = replace(reward.usual("control"), seed=seed)
        with threads(config.threads), placed(f"a reward for {env.id}"):
            learned = reward.fit(feedback.rows, config, known)
        return cls(learned.medium.model, "control", learned.metrics, env.id)

    def rewards(self, observations: Any, actions: Any, next_observations: Any) -> np.ndarray:
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
def _of_steps(model: Any, observations: Any, actions: Any, successors: Any) -> np.ndarray:
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
def _of_texts(model: Any, prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
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
