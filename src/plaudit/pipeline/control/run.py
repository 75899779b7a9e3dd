"""A control run put together from its config, with everything that changes in one saved tree."""

from typing import Any

import torch

from plaudit.environments.control import make
from plaudit.environments.control.collect import Control, RewardScale, mixed
from plaudit.environments.control.tape import Replay
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.pipeline.control import saved
from plaudit.pipeline.control.config import RunConfig
from plaudit.pipeline.control.evaluate import true_returns
from plaudit.pipeline.control.segments import Window
from plaudit.pipeline.control.teaching import Archive, ControlTeaching
from plaudit.pipeline.desk import Desk
from plaudit.pipeline.preferences import Preferences, people
from plaudit.runs import algorithms
from plaudit.runs.folder import RunFolder
from plaudit.seeds import seed_of
from plaudit.storage import Artifacts, open_store
from plaudit.storage.commands import Commands
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
        self.resume = source.resume
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
            on_policy.update(state, rollout, self.learner, 1 - state.decisions / config.steps)
        except ValueError as error:
            raise PlauditError(f"{config.algorithm}: {error}") from error
        return state.metrics | said | self._watched()

    @property
    def done(self) -> bool:
        """The budget is spent."""
        return self.state.decisions >= self.config.steps

    def begin(self, folder: RunFolder) -> None:
        """Keep the policy as it was before anything was learned."""
        saved.save_policy(folder.path / "policy-start", self.state.policy, self.config.environment)

    def finish(self, folder: RunFolder) -> dict[str, Any]:
        """Save what was learned and say how good it is by the true return."""
        config = self.config
        saved.save_policy(folder.path / "policy", self.state.policy, config.environment)
        if self.preferences is not None:
            self.notes |= self.preferences.notes
            about = {"labels": self.preferences.labels, "fits": self.preferences.fits}
            saved.save_reward(folder.path / "reward", self.preferences.learner.model, about)
        returns = true_returns(
            self.state.policy,
            config.environment,
            config.evaluate_episodes,
            seed_of(config.seed, "evaluation"),
        )
        return {
            "return_mean": float(returns.mean()),
            "return_std": float(returns.std()),
            "episodes": len(returns),
        }

    def _watched(self) -> dict[str, float]:
        """The true return now and then."""
        config, updates = self.config, self.state.updates
        if not config.evaluate_every or updates % config.evaluate_every:
            return {}
        seed = seed_of(config.seed, "watch", updates)
        returns = true_returns(self.state.policy, config.environment, config.evaluate_episodes, seed)
        return {"eval/return_mean": float(returns.mean()), "eval/return_std": float(returns.std())}

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
        config, source = self.config, self.control.source
        if not config.feedback.labels:
            return None
        store, artifacts = (
            open_store(folder.feedback, seed_of(config.seed, "sides")),
            Artifacts(folder.artifacts),
        )

        def replay(place: Window) -> Replay:
            return source.tape.replay(place.row, place.start, place.start + place.length - 1)

        real = not config.feedback.people
        if real and source.resume != "exact":
            raise PlauditError(
                f"environment.id: {config.environment.id} cannot be replayed as it is set up, so there are no clips to "
                "show to people; choose environment.vectorization: auto, or simulated people"
            )
        archive = Archive(artifacts, replay if source.resume == "exact" else None, drawn=real)
        persons = people(config.feedback.people, config.seed)
        desk = Desk(store, artifacts, Commands(store), archive.hidden_rewards, persons)
        generator = _generator(config.seed, "feedback")
        learner = ControlTeaching(archive, config.feedback, config.reward, self._reward_model(), generator)
        return Preferences(desk, config.feedback, learner)

    def _reward_model(self) -> RewardEnsemble:
        config, spaces = self.config, self.control.spaces
        if config.reward.start is not None:
            return saved.load_reward(config.reward.start, spaces)
        return RewardEnsemble(spaces, config.reward.model, _generator(config.seed, "reward"))

    def _learned(self) -> Any:
        if self.preferences is not None:
            return self.preferences.learner.model.reward
        return self._reward_model().reward if self.config.reward.weights.get("learned") else None


def _generator(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(seed, purpose))
