"""Control: a run in a Gymnasium environment, put together from its config."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from plaudit.environments.control import make
from plaudit.environments.control.evaluation import true_returns
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.rollouts import ControlRollouts
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.rewards.control import (
    SegmentQuestions,
    SegmentReward,
    environment_reward,
    function_reward,
    paid,
)
from plaudit.rewards.discriminator import Discriminator
from plaudit.rewards.learned.loop import FeedbackLoop
from plaudit.rewards.learned.session import FeedbackSession, simulated_people
from plaudit.rewards.learned.trainer import RewardTrainer
from plaudit.rewards.segments import SegmentStore, Window
from plaudit.rewards.source import Fixed
from plaudit.rewards.weighted import Part, Scaled, Weighted
from plaudit.runs import algorithms, saved
from plaudit.runs import config as configs
from plaudit.runs.config import RunConfig
from plaudit.runs.folder import RunFolder
from plaudit.runs.streams import generator
from plaudit.seeds import seed_of
from plaudit.stages.adapters import control_data, control_reward
from plaudit.stages.evaluate import EvaluateControl
from plaudit.storage import Artifacts, open_store
from plaudit.storage.commands import Commands
from plaudit.trainers.evolution import Evolution
from plaudit.trainers.on_policy import Algorithm, OnPolicy, Updater
from plaudit.trainers.supervised import Supervised


class ControlTask:
    """A `Task`: environments, a policy, its reward and whoever teaches it."""

    unit = "timesteps"

    def __init__(self, config: RunConfig, folder: RunFolder):
        self.config, self.folder = config, folder
        self.notes: set[str] = set()
        """What somebody should know about this run."""
        self.session: FeedbackSession | None = None
        self.feedback: FeedbackLoop | None = None
        module = algorithms.find(config.algorithm)
        self.kind = algorithms.kind_of(module)
        self.algorithm = Algorithm(module, config.settings, config.algorithm)
        self.source = make.make(self._environment(module))
        self.resume = self.source.resume
        needs = algorithms.needs(module, config.settings)
        evolved = self.kind == "evolution"
        self.rollouts = ControlRollouts(
            self.source,
            config.environment.n_steps,
            seed_of(config.seed, "environment"),
            "episodes" if evolved else needs.unit,
            self.source.num_envs if evolved else needs.group,
            config.environment.discount,
        )
        self.policy = self._policy()
        self.learner = self._learner()

    @property
    def stopped(self) -> bool:
        """Nothing stops it early."""
        return False

    def begin(self, folder: RunFolder) -> None:
        """Keep the policy as it was before anything was learned."""
        saved.save_policy(folder.path / "policy-start", self.policy, self.config.environment)

    def after_step(self) -> dict[str, Any]:
        """The true return now and then."""
        config, updates = self.config, self.learner.updates
        spent = {self.unit: getattr(self.learner, "spent", None)}
        found = {name: value for name, value in spent.items() if value is not None}
        if not config.evaluate_every or updates % config.evaluate_every:
            return found
        returns = self._true_returns(seed_of(config.seed, "watch", updates))
        return found | {
            "eval/return_mean": float(returns.mean()),
            "eval/return_std": float(returns.std()),
        }

    def finish(self, folder: RunFolder) -> dict[str, Any]:
        """Save what was learned and say how good it is by the true return."""
        saved.save_policy(folder.path / "policy", self.policy, self.config.environment)
        if self.feedback is not None:
            self.notes |= self.feedback.notes
            about = {
                "labels": self.feedback.labels,
                "fits": self.feedback.fits,
                "people": self.feedback.trainer.people.report(),
            }
            saved.save_reward(folder.path / "reward", self._ensemble, about)
        returns = self._true_returns(seed_of(self.config.seed, "evaluation"))
        return {
            "return_mean": float(returns.mean()),
            "return_std": float(returns.std()),
            "episodes": len(returns),
        }

    def state_dict(self) -> dict[str, Any]:
        """Nothing changes but the learner, and what is to be told."""
        return {"notes": sorted(self.notes)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.notes = set(state["notes"])

    def close(self) -> None:
        """Release environments and the store."""
        self.source.close()
        if self.session is not None:
            self.session.store.close()

    def _true_returns(self, seed: int) -> Any:
        return true_returns(self.policy, self.config.environment, self.config.evaluate_count, seed)

    def _environment(self, module: Any) -> Any:
        """As many environments as evolution has perturbations; else as the config says."""
        config = self.config
        if self.kind != "evolution":
            return config.environment
        tried = module.ask(torch.zeros(1), config.settings, torch.Generator())
        return replace(config.environment, envs=len(tried) * config.trainer.episodes)

    def _policy(self) -> ActorCritic:
        config, wanted = self.config, self.rollouts.spaces
        if config.start is not None:
            return saved.load_policy(config.start, config.environment.id, wanted)
        return ActorCritic(wanted, config.policy, generator(config.seed, "policy"))

    def _reference(self) -> ActorCritic | None:
        config = self.config
        if config.reference is None:
            return None
        return saved.load_policy(config.reference, config.environment.id, self.rollouts.spaces)

    def _learner(self) -> Any:
        config, shuffles = self.config, generator(self.config.seed, "minibatches")
        if self.kind == "preference":
            self.unit = "step"
            reference = self._reference() or saved.copied(self.policy)
            train, held_out = control_data.pairs(config, self.source, reference)
            return Supervised(self.policy, train, held_out, self.algorithm, config.trainer, shuffles)
        rewards = self._rewards()
        if self.kind == "evolution":
            return Evolution(
                self.policy, self.algorithm, config.trainer, self.rollouts, rewards, config.budget, shuffles
            )
        updater = Updater(self.policy, self.algorithm, config.trainer, shuffles)
        return OnPolicy(updater, self.rollouts, rewards, config.budget, self._reference())

    def _rewards(self) -> Any:
        """The weighted mix of all parts; `environment` alone is logged as itself."""
        config, weights = self.config, self.config.reward.weights
        parts: dict[str, Part] = {}
        if weights.get("environment"):
            parts["environment"] = Part(weights["environment"], Fixed(environment_reward))
        if weights.get("learned"):
            parts["learned"] = Part(weights["learned"], self._learned())
        if weights.get("discriminator"):
            parts["discriminator"] = Part(weights["discriminator"], self._discriminator())
        for name, place in config.reward.functions.items():
            parts[name] = Part(weights.get(name, 0.0), Fixed(function_reward(place, name)))
        mix = Weighted(parts)
        if not config.reward.normalise:
            return mix
        needs = config.needs
        discount = config.environment.discount if needs.discount is None else needs.discount
        return Scaled(mix, self.source.num_envs, discount)

    def _learned(self) -> Any:
        """People who teach a reward, or one that nobody teaches any more."""
        config = self.config
        self._ensemble = self._reward_model()
        if not config.feedback.labels:
            model = self._ensemble
            return Fixed(lambda behaviour: paid(model.reward(behaviour.record), behaviour.mask))
        store = open_store(self.folder.feedback, seed_of(config.seed, "sides"))
        artifacts = Artifacts(self.folder.artifacts)
        real = not config.feedback.people
        if real and self.source.resume != "exact":
            raise PlauditError(
                f"environment.id: {config.environment.id} cannot be replayed as it is set up, so there are no clips to "
                "show to people; choose environment.vectorization: auto, or simulated people"
            )
        replay = self._replay if self.source.resume == "exact" else None
        segments = SegmentStore(artifacts, replay, drawn=real)
        persons = simulated_people(config.feedback.people, config.seed)
        self.session = FeedbackSession(store, artifacts, Commands(store), segments.gold_rewards, persons)
        draws = generator(config.seed, "questions")
        medium = SegmentReward(self._ensemble, segments.segment, config.reward.fit.subsample)
        questions = SegmentQuestions(segments, config.feedback, medium, draws, config.reward.likelihood.scale)
        questions.early_end_matters = config.environment.horizon == "task"
        trainer = RewardTrainer(medium, config.reward, generator(config.seed, "feedback"))
        self.feedback = FeedbackLoop(self.session, config.feedback, trainer, questions)
        return self.feedback

    def _replay(self, place: Window) -> Replay:
        return self.source.recorder.replay(place.row, place.start, place.start + place.length - 1)

    def _reward_model(self) -> RewardEnsemble:
        config, wanted = self.config, self.rollouts.spaces
        if config.reward.start is not None:
            return saved.load_reward(config.reward.start, wanted)
        return RewardEnsemble(wanted, config.reward.model, generator(config.seed, "reward"))

    def _discriminator(self) -> Discriminator:
        config = self.config
        reward = config.reward
        model = RewardEnsemble(
            self.rollouts.spaces, replace(reward.model, members=1), generator(config.seed, "discriminator")
        )
        demonstrations = control_data.demonstrated(Path(str(reward.demonstrations)), self.source)
        return Discriminator(
            model,
            demonstrations,
            algorithms.find(str(reward.discriminator)),
            reward.discriminator_settings,
            reward.discriminator_fit,
            generator(config.seed, "discriminator draws"),
        )


def task(config: RunConfig, folder: RunFolder) -> ControlTask:
    """The task of a config."""
    return ControlTask(config, folder)


def reward_medium(rows: Any, config: Any, known: Any) -> SegmentReward:
    """A fresh reward for answers in files."""
    return control_reward.medium(rows, config, known)


def save_reward(out: Path, reward: SegmentReward, about: dict[str, Any]) -> None:
    """Write a reward learned from files."""
    saved.save_reward(out, reward.model, about)


settle, rules, refuse_model = control_reward.settle, control_reward.rules, control_reward.refuse_model
memory_explained = nullcontext
pretraining_memory_explained = nullcontext
lessons = control_data.ClonedLessons


def evaluated(place: str, config: EvaluateControl) -> dict[str, Any]:
    """The true return of a saved policy, or of a run's, on fresh episodes."""
    folder = Path(place)
    if (folder / saved.CARD).exists():
        policy_folder, environment = folder, saved.environment_of(folder)
    else:
        run = RunFolder.open(folder)
        policy_folder, environment = run.path / "policy", configs.load(run.config).environment
    policy = saved.load_policy(policy_folder, environment.id)
    returns = true_returns(policy, environment, config.episodes, config.seed, not config.sample)
    return {
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
        "episodes": len(returns),
    }
