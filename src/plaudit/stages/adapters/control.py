"""Control: a run in a Gymnasium environment, put together from its config."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from plaudit.environments.control import make
from plaudit.environments.control.config import Control
from plaudit.environments.control.rollouts import ControlRollouts, Starts, true_returns
from plaudit.models.actor_critic import ActorCritic, Spaces
from plaudit.readers.judgements import Judged
from plaudit.rewards.control import (
    SegmentReward,
)
from plaudit.rewards.weighted import Scaled
from plaudit.runs import algorithms, saved
from plaudit.runs.config import RunConfig
from plaudit.runs.folder import RunFolder
from plaudit.runs.streams import generator
from plaudit.seeds import seed_of
from plaudit.stages.adapters import cloning, control_data, control_evaluate, control_reward
from plaudit.stages.adapters.control_reward import RewardSources
from plaudit.stages.evaluate import evaluation_seed
from plaudit.stages.reward import RewardFromFiles
from plaudit.trainers.evolution import Evolution, Search
from plaudit.trainers.on_policy import Algorithm, OnPolicy, Updater
from plaudit.trainers.supervised import Supervised


class ControlTask:
    """A `Task`: environments, a policy, its reward and whoever teaches it."""

    unit = "timesteps"

    def __init__(self, config: RunConfig, folder: RunFolder):
        self.config, self.folder = config, folder
        assert isinstance(config.environment, Control)
        self.environment = config.environment
        self.notes: set[str] = set()
        """What somebody should know about this run."""
        module = algorithms.find(config.algorithm)
        self.kind = algorithms.kind_of(module)
        self.algorithm = Algorithm(module, config.settings, config.algorithm)
        self.source = make.make(self._environment(module))
        self.resume = self.source.resume
        needs = algorithms.needs(module, config.settings)
        evolved = self.kind == "evolution"
        self.rollouts = ControlRollouts(
            self.source,
            self.environment.n_steps,
            seed_of(config.seed, "environment"),
            "episodes" if evolved else needs.unit,
            Starts(self.environment.group, self.source.num_envs // config.trainer.episodes if evolved else 1),
            self.environment.discount,
        )
        self.sources = RewardSources(config, folder, self.source, self.rollouts.spaces)
        self.policy = self._policy()
        self.learner = self._learner()
        self.session, self.feedback = self.sources.session, self.sources.feedback

    @property
    def stopped(self) -> bool:
        """Nothing stops it early."""
        return False

    def begin(self, folder: RunFolder) -> None:
        """Keep the policy as it was before anything was learned."""
        saved.save_policy(folder.path / "policy-start", self.policy, self.environment)

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
        saved.save_policy(folder.path / "policy", self.policy, self.environment)
        if self.feedback is not None and self.sources.ensemble is not None:
            self.notes |= self.feedback.notes
            about = {
                "labels": self.feedback.labels,
                "fits": self.feedback.fits,
                "people": self.feedback.trainer.people.report(),
            }
            saved.save_reward(folder.path / "reward", self.sources.ensemble, about)
        seed, count = evaluation_seed(self.config.seed), self.config.evaluate_count
        began = saved.load_policy(folder.path / "policy-start", self.environment.id, self.rollouts.spaces)
        before, after = (
            control_evaluate.evaluate(one, self.environment, count, seed) for one in (began, self.policy)
        )
        return after | {"before": before}

    def state_dict(self) -> dict[str, Any]:
        """Nothing changes but the learner, and what is to be told."""
        return {"notes": sorted(self.notes)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.notes = set(state["notes"])
        rewards = getattr(self.learner, "rewards", None)
        if self.resume == "statistical" and isinstance(
            rewards, Scaled
        ):  # fresh episodes: nothing is under way
            rewards.running.zero_()

    def close(self) -> None:
        """Release environments and the store."""
        self.source.close()
        if self.session is not None:
            self.session.store.close()

    def _true_returns(self, seed: int) -> Any:
        return true_returns(self.policy, self.environment, self.config.evaluate_count, seed)

    def _environment(self, module: ModuleType) -> Control:
        """As many environments as evolution has perturbations; else as the config says."""
        config = self.config
        if self.kind != "evolution":
            return self.environment
        tried = module.ask(torch.zeros(1), config.settings, torch.Generator())
        return replace(self.environment, envs=len(tried) * config.trainer.episodes)

    def _policy(self) -> ActorCritic:
        config, wanted = self.config, self.rollouts.spaces
        if config.start is not None:
            return saved.load_policy(config.start, self.environment.id, wanted)
        return ActorCritic(wanted, config.policy, generator(config.seed, "policy"))

    def _reference(self) -> ActorCritic | None:
        config = self.config
        if config.reference is None:
            return None
        return saved.load_policy(config.reference, self.environment.id, self.rollouts.spaces)

    def _learner(self) -> Any:
        config, shuffles = self.config, generator(self.config.seed, "minibatches")
        if self.kind == "preference":
            self.unit = "step"
            reference = self._reference() or saved.copied(self.policy)
            train, held_out = control_data.pairs(config, self.source, reference)
            return Supervised(self.policy, train, held_out, self.algorithm, config.trainer, shuffles)
        rewards = self.sources.mix()
        if self.kind == "evolution":
            search = Search(self.policy, self.algorithm, config.trainer, shuffles)
            return Evolution(search, self.rollouts, rewards, config.budget)
        updater = Updater(self.policy, self.algorithm, config.trainer, shuffles)
        return OnPolicy(updater, self.rollouts, rewards, config.budget, self._reference())


def task(config: RunConfig, folder: RunFolder) -> ControlTask:
    """The task of a config."""
    return ControlTask(config, folder)


def reward_medium(rows: Sequence[Judged], config: RewardFromFiles, known: Spaces | None) -> SegmentReward:
    """A fresh reward for answers in files."""
    return control_reward.medium(rows, config, known)


def save_reward(out: Path, reward: SegmentReward, about: dict[str, Any]) -> None:
    """Write a reward learned from files."""
    saved.save_reward(out, reward.model, about)


normalise, rules, refuse_model = control_reward.normalise, control_reward.rules, control_reward.refuse_model
notes = control_reward.notes
memory_explained = run_memory_explained = nullcontext
pretraining_memory_explained = nullcontext
training_data = cloning.CloningData
evaluated = control_evaluate.evaluated
