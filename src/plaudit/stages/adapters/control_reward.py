"""A reward for control from files: segments as the reward model reads them, and rules to compare it with."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from plaudit.environments.control.config import Control
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.rollouts import Trajectories
from plaudit.environments.control.vector_env import Source
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.readers.arrays import Segment
from plaudit.readers.judgements import Judged
from plaudit.rewards.control import (
    SegmentReward,
    SegmentStore,
    Window,
    environment_reward,
    function_reward,
    paid,
    scored_by,
    stack,
)
from plaudit.rewards.control_questions import SegmentQuestions
from plaudit.rewards.discriminator import Discriminator
from plaudit.rewards.learned.loop import FeedbackLoop, FeedbackSession, simulated_people
from plaudit.rewards.learned.trainer import RewardTrainer
from plaudit.rewards.weighted import Fixed, Part, RewardSource, Scaled, Weighted
from plaudit.runs import algorithms, saved
from plaudit.runs.config import RunConfig
from plaudit.runs.folder import RunFolder
from plaudit.runs.streams import generator
from plaudit.seeds import seed_of
from plaudit.stages.adapters import control_data
from plaudit.stages.reward import RewardFromFiles
from plaudit.storage import Artifacts, open_store
from plaudit.storage.store import Commands


def medium(rows: Sequence[Judged], config: RewardFromFiles, known: Spaces | None) -> SegmentReward:
    """A fresh ensemble for these segments; PlauditError where they do not fit the spaces of the environment."""
    spaces = known or _spaces(rows[0].options[0])
    for one in rows:
        for segment in one.options:
            _refuse_others(segment, spaces, one.where)
    model = RewardEnsemble(spaces, config.model, generator(config.seed, "reward"))
    return SegmentReward(model, transitions, config.fit.subsample)


def normalise(reward: SegmentReward, rows: Sequence[Judged]) -> None:
    """Mean 0 and variance 1 of every member over all segments."""
    record, mask = stack([transitions(segment) for one in rows for segment in one.options])
    reward.model.standardise(record, mask)


def notes(reward: SegmentReward, rows: Sequence[Judged]) -> list[str]:
    """Nothing: segments are read whole."""
    return []


def rules(train: Sequence[Judged], test: Sequence[Judged]) -> dict[str, Tensor]:
    """Margins, for what was chosen, of a linear reward on the mean state and action and of the best single feature."""
    compared = [one for one in train if one.kind == "comparison"]
    difference = torch.stack([_difference(one) for one in compared])
    preference = torch.tensor([one.said[0] for one in compared])
    tested = torch.stack([_difference(one) for one in test])
    sign = torch.sign(torch.tensor([one.said[0] for one in test]) - 0.5)
    return {
        "linear on mean features": sign * linear(difference, preference, tested),
        "best single feature": sign * single(difference, preference, tested),
    }


def linear(train: Tensor, preference: Tensor, test: Tensor) -> Tensor:
    """Margins of a linear Bradley-Terry reward on mean features: Newton steps on the ridge-penalised likelihood."""
    scale = train.std(dim=0) + 1e-8
    x, target = (train / scale).double(), preference.double()
    weight = torch.zeros(x.shape[1], dtype=torch.float64)
    for _ in range(20):
        p = (x @ weight).sigmoid()
        hessian = (x * (p * (1 - p))[:, None]).T @ x + torch.eye(len(weight), dtype=torch.float64)
        weight = weight - torch.linalg.solve(hessian, x.T @ (p - target) + weight)
    return (test / scale).double() @ weight


def single(train: Tensor, preference: Tensor, test: Tensor) -> Tensor:
    """Margins of the one feature, with its sign, that orders most of the training pairs as people did."""
    sign = (preference - 0.5).sign()[:, None]
    score = (train.sign() * sign).sum(dim=0)
    best = int(score.abs().argmax())
    return test[:, best] * score[best].sign()


def transitions(segment: Segment) -> Transitions:
    """One segment [1, L, ...]; its last state is its own successor."""
    observations, actions = _rows(segment)
    following = torch.cat([observations[1:], observations[-1:]])[None]
    ends = torch.zeros(1, len(actions))
    ends[0, -1] = float(segment.terminated)
    nothing = torch.zeros(1, len(actions))
    return Transitions(observations[None], actions[None], actions[None], following, nothing, ends)


def refuse_model(out: Path) -> None:
    """Raise PlauditError where a model is here already."""
    if (out / saved.CARD).exists():
        raise PlauditError(f"{out}: a model is here already; choose another --out")


def _spaces(segment: Segment) -> Spaces:
    return Spaces(*_numbers(segment), "continuous")


def _rows(segment: Segment) -> tuple[Tensor, Tensor]:
    """Observations and actions, the numbers of a step in a row."""
    return (
        torch.from_numpy(segment.observations).flatten(start_dim=1),
        torch.from_numpy(segment.actions).flatten(start_dim=1),
    )


def _numbers(segment: Segment) -> tuple[int, int]:
    """How many numbers of observation and of action a step has."""
    return int(segment.observations[0].size), int(segment.actions[0].size)


def _difference(one: Judged) -> Tensor:
    """Mean features of the first segment minus those of the second."""
    sides = [torch.cat([rows.mean(dim=0) for rows in _rows(segment)]) for segment in one.options]
    return sides[0] - sides[1]


def _refuse_others(segment: Segment, spaces: Spaces, where: str) -> None:
    found = _numbers(segment)
    if found != (spaces.observation, spaces.action):
        raise PlauditError(
            f"{where}: its steps have {found[0]} numbers of observation and {found[1]} of action, but "
            f"{spaces.observation} and {spaces.action} are wanted; give feedback about one environment"
        )


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

    def mix(self) -> RewardSource[Trajectories]:
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

    def _learned(self) -> RewardSource[Trajectories]:
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
        judge = config.feedback.judge
        scored = None if judge is None else scored_by(judge, "feedback.judge")
        segments = SegmentStore(artifacts, replay, real, scored)
        persons = simulated_people(config.feedback.people, config.seed)
        self.session = FeedbackSession(store, artifacts, Commands(store), segments.gold_rewards, persons)
        draws = generator(config.seed, "questions")
        medium = SegmentReward(model, segments.segment, config.reward.fit.subsample)
        questions = SegmentQuestions(segments, config.feedback, medium, draws, config.reward.likelihood.scale)
        trainer = RewardTrainer(medium, config.reward, generator(config.seed, "feedback"))
        self.feedback = FeedbackLoop(self.session, config.feedback, trainer, questions)
        self.feedback.proven = config.reward.start is not None
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
