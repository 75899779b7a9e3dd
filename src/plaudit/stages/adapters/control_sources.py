"""What pays for behaviour in control, put together from a config: environment, functions, people, a discriminator."""

from dataclasses import replace
from pathlib import Path

from plaudit.environments.control.config import Control
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.vector_env import Source
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import Spaces
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
from plaudit.rewards.source import Fixed, RewardSource
from plaudit.rewards.weighted import Part, Scaled, Weighted
from plaudit.runs import algorithms, saved
from plaudit.runs.config import RunConfig
from plaudit.runs.folder import RunFolder
from plaudit.runs.streams import generator
from plaudit.seeds import seed_of
from plaudit.stages.adapters import control_data
from plaudit.storage import Artifacts, open_store
from plaudit.storage.commands import Commands


class RewardSources:
    """The parts of a run's reward, and whoever teaches one of them."""

    def __init__(self, config: RunConfig, folder: RunFolder, source: Source, spaces: Spaces):
        assert isinstance(config.environment, Control)
        self.config, self.environment, self.folder = config, config.environment, folder
        self.source, self.spaces = source, spaces
        self.session: FeedbackSession | None = None
        """Where people answer, if they are part of the run."""
        self.feedback: FeedbackLoop | None = None
        """What learns from them."""
        self.ensemble: RewardEnsemble | None = None
        """The learned part."""

    def mix(self) -> RewardSource:
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
        discount = self.environment.discount if needs.discount is None else needs.discount
        return Scaled(mix, self.source.num_envs, discount)

    def _learned(self) -> RewardSource:
        """People who teach a reward, or one that nobody teaches any more."""
        config = self.config
        self.ensemble = model = self._reward_model()
        if not config.feedback.labels:
            return Fixed(lambda behaviour: paid(model.reward(behaviour.record), behaviour.mask))
        store = open_store(self.folder.feedback, seed_of(config.seed, "sides"))
        artifacts = Artifacts(self.folder.artifacts)
        real = not config.feedback.people
        if real and self.source.resume != "exact":
            raise PlauditError(
                f"environment.id: {self.environment.id} cannot be replayed as it is set up, so there are no clips to "
                "show to people; choose environment.vectorization: auto, or simulated people"
            )
        replay = self._replay if self.source.resume == "exact" else None
        segments = SegmentStore(artifacts, replay, drawn=real)
        persons = simulated_people(config.feedback.people, config.seed)
        self.session = FeedbackSession(store, artifacts, Commands(store), segments.gold_rewards, persons)
        draws = generator(config.seed, "questions")
        medium = SegmentReward(model, segments.segment, config.reward.fit.subsample)
        questions = SegmentQuestions(segments, config.feedback, medium, draws, config.reward.likelihood.scale)
        questions.early_end_matters = self.environment.horizon == "task"
        trainer = RewardTrainer(medium, config.reward, generator(config.seed, "feedback"))
        self.feedback = FeedbackLoop(self.session, config.feedback, trainer, questions)
        return self.feedback

    def _replay(self, place: Window) -> Replay:
        return self.source.recorder.replay(place.row, place.start, place.start + place.length - 1)

    def _reward_model(self) -> RewardEnsemble:
        config, wanted = self.config, self.spaces
        if config.reward.start is not None:
            return saved.load_reward(config.reward.start, wanted)
        return RewardEnsemble(wanted, config.reward.model, generator(config.seed, "reward"))

    def _discriminator(self) -> Discriminator:
        config = self.config
        reward = config.reward
        model = RewardEnsemble(
            self.spaces, replace(reward.model, members=1), generator(config.seed, "discriminator")
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
