"""A control run put together from its config, with everything that changes in one saved tree."""

from typing import Any

import torch

from plaudit.environments.control import make
from plaudit.environments.control.collect import Control, RewardScale, mixed
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.pipeline import algorithms, saved
from plaudit.pipeline.commands import Commands
from plaudit.pipeline.config import RunConfig
from plaudit.pipeline.desk import Desk
from plaudit.pipeline.preferences import Preferences, people
from plaudit.pipeline.run_folder import RunFolder, seed_of
from plaudit.pipeline.segments import Window
from plaudit.storage import Artifacts, open_store
from plaudit.trainers import on_policy

EARLY_END = (
    "episodes end by themselves here, so their length tells part of the true reward to whoever learns from people; "
    "environment.horizon: fixed takes that away"
)


class ControlRun:
    """One tick: act, ask and learn from people where they are part of the run, judge, improve."""

    def __init__(self, config: RunConfig, folder: RunFolder):
        self.config = config
        self.notes: set[str] = set()
        """What somebody should know about this run."""
        source = make.make(config.environment)
        discount = getattr(config.settings, "discount", 0.99)
        scale = RewardScale(source.num_envs, discount) if config.reward.scale else None
        self.control = Control(source, config.rollout, seed_of(config.seed, "environment"), scale)
        policy = ActorCritic(self.control.spaces, config.policy, _generator(config.seed, "policy"))
        if config.start is not None:
            policy = saved.load_policy(config.start, config.environment.id, self.control.spaces)
        self.reference = None
        if config.reference is not None:
            self.reference = saved.load_policy(config.reference, config.environment.id, self.control.spaces)
        self.learner = on_policy.Learner(algorithms.find(config.algorithm), config.settings, config.trainer)
        self.state = on_policy.start(policy, config.trainer, _generator(config.seed, "minibatches"))
        self.preferences = self._preferences(folder)
        self.reward = mixed(config.reward.weights, self._learned())

    def tick(self) -> dict[str, Any]:
        """One update; returns its metrics."""
        state, config = self.state, self.config
        walk, metrics = self.control.walk(state.policy, config.steps - state.decisions)
        said: dict[str, Any] = {}
        if self.preferences is not None:
            if config.environment.horizon == "task" and bool(walk.terminated.any()):
                self.notes.add(EARLY_END)
            fits = self.preferences.fits
            rest = config.steps - state.decisions - int(walk.mask.sum())
            # the last whole rollout is the last chance to ask what is left
            progress = 1.0 if rest < walk.mask.shape[0] * config.rollout else state.decisions / config.steps
            said = self.preferences.tick(walk, state.updates, progress)
            if self.preferences.fits != fits and self.control.reward_scale is not None:
                self.control.reward_scale.reset()  # the scale of the reward before says nothing about this one
        rollout = self.control.judge(walk, state.policy, self.reference, self.reward, metrics)
        try:
            on_policy.update(state, rollout, self.learner, config.steps)
        except ValueError as error:
            raise PlauditError(f"{config.algorithm}: {error}") from error
        return state.metrics | said

    def obey(self) -> None:
        """Pause or stop where somebody wished it; raises `Stopped`."""
        if self.preferences is not None:
            self.preferences.desk.commands.obey()

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        state = self.state
        return {
            "policy": dict(state.policy.state_dict()),
            "optimiser": state.optimiser.state_dict(),
            "generator": state.generator.get_state(),
            "updates": state.updates,
            "decisions": state.decisions,
            "kl_price": state.kl_price,
            "notes": sorted(self.notes),
            "control": self.control.state_dict(),
            "preferences": None if self.preferences is None else self.preferences.state_dict(),
        }

    def load_state_dict(self, tree: dict[str, Any]) -> None:
        """Continue from a saved tree."""
        state = self.state
        state.policy.load_state_dict(tree["policy"])
        state.optimiser.load_state_dict(tree["optimiser"])
        state.generator.set_state(tree["generator"])
        state.updates, state.decisions, state.kl_price = tree["updates"], tree["decisions"], tree["kl_price"]
        self.notes = set(tree["notes"])
        self.control.load_state_dict(tree["control"])
        if self.preferences is not None:
            self.preferences.load_state_dict(tree["preferences"])

    def close(self) -> None:
        """Release environments and the store."""
        self.control.source.close()
        if self.preferences is not None:
            self.preferences.desk.store.close()

    def _preferences(self, folder: RunFolder) -> Preferences | None:
        config = self.config
        if not config.feedback.labels:
            return None
        model = self._reward_model()
        source = self.control.source
        store = open_store(folder.feedback, seed_of(config.seed, "sides"))
        artifacts = Artifacts(folder.artifacts)
        replay = self._replay if source.resume == "exact" else None
        desk = Desk(store, artifacts, Commands(store), people(config.feedback, config.seed), replay)
        return Preferences(desk, config.feedback, config.reward, model, _generator(config.seed, "feedback"))

    def _replay(self, place: Window) -> bytes:
        """What it takes to show a segment of the latest rollout to a person."""
        return self.control.source.tape.replay(
            place.row, place.start, place.start + place.length - 1
        ).to_bytes()

    def _reward_model(self) -> RewardEnsemble:
        config, spaces = self.config, self.control.spaces
        if config.reward.start is not None:
            return saved.load_reward(config.reward.start, spaces)
        return RewardEnsemble(spaces, config.reward.model, _generator(config.seed, "reward"))

    def _learned(self) -> Any:
        if self.preferences is not None:
            return self.preferences.model.reward
        return self._reward_model().reward if self.config.reward.weights.get("learned") else None


def _generator(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(seed, purpose))
