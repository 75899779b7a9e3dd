"""A trained policy that learns further from feedback: a control policy or a language model."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from plaudit.api.arguments import bar, divergence_named, positive
from plaudit.api.feedback import as_feedback
from plaudit.api.reward import Feedback, RewardModel
from plaudit.api.trainer import STEADIER, PPOConfig, reference_of, updater_of
from plaudit.batches import Rewards
from plaudit.environments.language.config import Language
from plaudit.environments.language.prompts import Prompt, PromptQueue
from plaudit.environments.language.rollouts import GenerationConfig, LanguageRollouts
from plaudit.errors import PlauditError
from plaudit.models.language import loading
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import LanguagePolicy
from plaudit.models.transitions import Transitions
from plaudit.readers.texts import TextPrompt
from plaudit.rewards import functions
from plaudit.rewards.text import learned
from plaudit.rewards.weighted import Fixed
from plaudit.runs.config import RunConfig
from plaudit.runs.streams import generator
from plaudit.stages.adapters.prompts import fitted, room_for
from plaudit.trainers.on_policy import OnPolicy

Reward = RewardModel | Callable[..., Any]
"""One that was learned, or a Python function."""
NAME = "reward_model"
"""What a function is called in errors."""
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
        self,
        feedback: Feedback | Sequence[Mapping[str, Any]],
        reward_model: RewardModel | Callable[..., Any],
        progress_bar: bool = False,
        **settings: object,
    ) -> Self:
        """Optimise a reward by PPO: in the policy's environment, or on the prompts of the feedback.

        The reward is one that was learned, or a Python function: for text in any of the shapes of
        `plaudit.rewards.functions`, such as `f(prompts, completions)`; for control `f(observations, actions,
        next_observations)` of arrays [B, T, ...], which returns a number for each step, [B, T].
        `settings` for control: `total_timesteps` and whatever PPOAgent takes; for language: `updates` and whatever
        PPOConfig takes. There the policy pays for its distance to the model as it was (`kl_coef`).
        """
        feedback = as_feedback(feedback)
        if isinstance(reward_model, RewardModel):
            reward_model.refuse_other("control" if self.medium == "control" else "text")
        elif not callable(reward_model):
            raise PlauditError(
                f"reward_model: a {type(reward_model).__name__} was given; give a RewardModel or a function"
            )
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
        self, feedback: Feedback, reward: Reward, progress_bar: bool, settings: Mapping[str, Any]
    ) -> None:
        """Optimise the reward."""
        from plaudit.api.agent import PPOAgent, refuse_other_networks

        rest = {"seed": self.seed, "normalize_reward": True, **settings}
        steps = rest.pop("total_timesteps", STEPS)
        if not self.policy.config.critic:
            raise PlauditError("the policy has no critic, which PPO needs; train it with policy.critic: true")
        paid = self._paid(reward)
        agent = PPOAgent(self.env, **rest)
        try:
            refuse_other_networks(rest, agent.config.policy, self.policy.config)
            agent.adopt(self.policy)
            agent.reward = paid
            agent.learn(steps, progress_bar=progress_bar)
        finally:
            agent.close()
        self.metrics = agent.metrics

    def _paid(self, reward: Reward) -> Callable[[Any], Any]:
        """The reward of recorded steps."""
        from plaudit.rewards.control import scored_by

        if not isinstance(reward, RewardModel):
            return stepwise(scored_by(reward, NAME))
        judged, acted = reward.model.spaces, self.policy.spaces
        if (judged.observation, judged.action) != (acted.observation, acted.action):
            raise PlauditError(
                f"reward_model: it judges {reward.environment}, but the policy acts in {self.env.id}; fit one for it"
            )
        return reward.model.reward

    def save(self, folder: Path) -> None:
        """Write the policy with the environment it was made for."""
        from plaudit.runs import saved

        saved.save_policy(folder, self.policy, self.environment)


def stepwise(scored: Callable[[Transitions], Tensor]) -> Callable[[Transitions], Tensor]:
    """A function's reward of every step; PlauditError where it gives one for a whole row, which holds several
    episodes."""

    def reward(record: Transitions) -> Tensor:
        found = scored(record)
        if found.ndim == 1:
            raise PlauditError(
                f"{NAME}: it returned shape {list(found.shape)}; return a number for each step, "
                f"{list(record.environment_rewards.shape)}"
            )
        return found

    return reward


UPDATES = 40
"""Updates, unless `updates` says."""
DEFAULTS: dict[str, Any] = {"batch_size": 32, "mini_batch_size": 16}
"""Besides those of PPOConfig."""
RATE = 0.016
"""The usual step size times the width of the model."""
LONGEST = 64
"""Tokens of an answer at most, unless `max_new_tokens` says; fewer where the judged answers are shorter."""


class LanguageTuner:
    """A language model with its tokenizer."""

    medium = "text"

    def __init__(self, place: str, seed: int):
        self.place, self.seed = place, seed
        lm, self.vocabulary = loading.load(place)
        self.policy = lm.to(loading.device("auto"))
        self.shaping = loading.shaping_of(lm)
        self.metrics: dict[str, float] = {}

    def tune(
        self, feedback: Feedback, reward: Reward, progress_bar: bool, settings: Mapping[str, Any]
    ) -> None:
        """Optimise the reward; the reference is the model as it is now."""
        rest = dict(settings)
        updates = positive(rest.pop("updates", UPDATES), "updates")
        config = self._config(feedback, rest)
        assert isinstance(config.environment, Language)
        most, batch = config.environment.max_new_tokens, config.environment.batch_size
        sampling = Sampling(most, rows=config.policy.rows)
        generation = GenerationConfig(self.vocabulary, self.vocabulary.stops(), sampling)
        queue = PromptQueue(self._prompts(feedback, most), generator(self.seed, "prompts"))
        reference = reference_of(self.policy, config)
        policy = LanguagePolicy(self.policy, config.policy, generator(self.seed, "policy"))
        learner = OnPolicy(
            updater_of(policy, config, self.seed),
            LanguageRollouts(queue, generation, batch, generator(self.seed, "answers")),
            Fixed(self._paid(reward)),
            updates,
            reference,
        )
        memory = loading.memory_explained("batch_size, mini_batch_size or max_new_tokens")
        steady = divergence_named(STEADIER)
        with memory, steady, bar("fine-tune", updates, progress_bar, "update") as shown:
            while not learner.done:
                found = learner.step()
                shown({"update": learner.updates} | found)
        self.metrics = learner.updater.metrics

    def _paid(self, reward: Reward) -> Callable[[Any], Rewards]:
        """The reward of completions."""
        if isinstance(reward, RewardModel):
            return learned(reward.model, self.vocabulary)
        judge = functions.adapt(reward, NAME)
        return lambda said: judge(said.answers)

    def save(self, folder: Path) -> None:
        """Write the model as transformers reads it."""
        loading.keep_shaping(self.policy, self.shaping, self.vocabulary.stops())
        loading.save(folder, self.policy, self.vocabulary)

    def _config(self, feedback: Feedback, given: dict[str, Any]) -> RunConfig:
        """The settings given, and for the others what fits this model and feedback."""
        usual = DEFAULTS | {"temperature": self.shaping.temperature, "top_p": self.shaping.top_p}
        usual |= {"learning_rate": RATE / self.policy.config.get_text_config().hidden_size}
        usual |= {"max_new_tokens": self._usual_length(feedback), "seed": self.seed}
        config = PPOConfig.over(usual, given).config
        self.shaping = config.policy.shaping
        return config

    def _usual_length(self, feedback: Feedback) -> int:
        """As long as most of the judged answers, and at most half of what the model reads."""
        lengths = sorted(
            len(self.vocabulary.completion(text if isinstance(text, str) else list(text), _asked(row.prompt)))
            for row in feedback.rows
            for text in row.options
        )
        context = loading.context_of(self.policy)
        return max(1, min(lengths[9 * len(lengths) // 10], LONGEST, (context or 2 * LONGEST) // 2))

    def _prompts(self, feedback: Feedback, most: int) -> list[Prompt]:
        """Every prompt of the feedback once; what is too long loses its beginning."""
        room = room_for(most, loading.context_of(self.policy), "max_new_tokens")
        first: dict[str, TextPrompt] = {}
        for row in feedback.rows:
            first.setdefault(repr(row.prompt), TextPrompt(row.prompt or "", {}, row.where))
        made = [fitted(prompt, self.vocabulary, room, "cut") for prompt in first.values()]
        return [prompt for prompt in made if prompt is not None]


def _asked(prompt: Any) -> Any:
    return prompt if isinstance(prompt, str) else list(prompt)
