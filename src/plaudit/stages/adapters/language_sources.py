"""What pays for completions, put together from a config: the learned reward and who teaches it, and functions."""

from plaudit.models.language.reward_model import TextReward
from plaudit.rewards.learned.loop import FeedbackLoop
from plaudit.rewards.learned.session import FeedbackSession, simulated_people
from plaudit.rewards.learned.trainer import RewardTrainer
from plaudit.rewards.source import Fixed
from plaudit.rewards.text import (
    Asking,
    CompletionQuestions,
    CompletionReward,
    CompletionStore,
    answered_by,
    sequence,
)
from plaudit.rewards.weighted import Part, Weighted
from plaudit.runs import algorithms
from plaudit.runs.config import RunConfig
from plaudit.runs.folder import RunFolder
from plaudit.runs.streams import generator
from plaudit.seeds import seed_of
from plaudit.stages.adapters.language_models import Models, paying, weighted
from plaudit.storage import Artifacts, open_store
from plaudit.storage.commands import Commands

UNMEASURED = (
    "nothing says what completions are worth, so the model is not compared with the one it started from; give "
    "gold_reward, reward.start or a function"
)


class RewardSources:
    """The parts of a run's reward, and whoever teaches one of them."""

    def __init__(self, config: RunConfig, folder: RunFolder, models: Models):
        self.config, self.models = config, models
        self.notes: set[str] = set()
        """What somebody should know about this reward."""
        self.session: FeedbackSession | None = None
        """Where people answer, if they are part of the run."""
        self.store: CompletionStore | None = None
        """What they are shown."""
        self.feedback: FeedbackLoop | None = None
        """What learns from them."""
        if config.feedback.labels or config.win_rate_check.every:
            opened = open_store(folder.feedback, seed_of(config.seed, "sides"))
            self.store = CompletionStore(Artifacts(folder.artifacts), models.gold)
            persons = simulated_people(config.feedback.people, config.seed)
            wishes, scores = Commands(opened), self.store.gold_rewards
            self.session = FeedbackSession(opened, self.store.artifacts, wishes, scores, persons)

    def mix(self) -> Weighted:
        """The weighted parts of the reward, each logged apart."""
        config, made = self.config, self.models
        compares = algorithms.kind_of(algorithms.find(config.algorithm)) == "preference"
        if compares and not paying(config.reward):
            if made.gold is None:
                self.notes.add(UNMEASURED)
            return Weighted({"gold_reward": Part(1.0, Fixed(answered_by(made.gold)))})
        source = None
        if config.feedback.labels and made.reward is not None:
            source = self._taught(made.reward)
        return weighted(config.reward, made.reward, made.generation, source)

    def _taught(self, model: TextReward) -> FeedbackLoop:
        """The learned part, with whoever teaches it."""
        config, made = self.config, self.models
        assert self.session is not None and self.store is not None
        store, spoken = self.store, made.generation.vocabulary
        medium = CompletionReward(model, lambda item: sequence(model, store.get(item), spoken))
        asking = Asking(
            made.policy,
            made.queue(config.seed, "questions"),
            made.generation,
            generator(config.seed, "compared answers"),
            config.feedback.question,
            config.feedback.options,
        )
        trainer = RewardTrainer(medium, config.reward, generator(config.seed, "feedback"))
        questions = CompletionQuestions(store, medium, asking)
        self.feedback = FeedbackLoop(self.session, config.feedback, trainer, questions)
        return self.feedback
