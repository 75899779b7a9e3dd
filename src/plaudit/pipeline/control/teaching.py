"""What it takes to learn a reward for control from comparisons of segments."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.batches import Comparisons
from plaudit.environments.control.collect import Walk
from plaudit.environments.control.tape import Replay
from plaudit.feedback import Comparison
from plaudit.likelihoods import bradley_terry
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.pipeline.control.clips import clip
from plaudit.pipeline.control.config import FeedbackSettings, RewardSettings
from plaudit.pipeline.control.segments import Window, cut, from_bytes, stack, to_bytes
from plaudit.pipeline.preferences import SAID
from plaudit.queries import disagreement, random, segments
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.store import NewQuery, Response
from plaudit.trainers import reward_fit
from plaudit.trainers.descent import Adam


class Archive:
    """The segments people are asked about, as artifacts."""

    def __init__(
        self, artifacts: Artifacts, replay: Callable[[Window], Replay] | None = None, drawn: bool = False
    ):
        self.artifacts = artifacts
        self.replay = replay
        """What it takes to show a segment of the latest rollout to a person; none: nothing is kept for showing."""
        self.drawn = drawn
        """Draw clips of the segments: for people who will look at them."""
        self.loaded: dict[str, Transitions] = {}

    def question(self, key: str, tick: int, record: Transitions, places: Sequence[Window]) -> NewQuery:
        """A comparison of segments of the latest rollout; stores what it is about."""
        items = tuple(self.artifacts.put(to_bytes(cut(record, place))) for place in places)
        payload: dict[str, Any] = {}
        if self.replay is not None:
            replays = [self.replay(place) for place in places]
            payload["replays"] = [self.artifacts.put(replay.to_bytes()) for replay in replays]
            if self.drawn:
                payload["clips"] = [clip(replay, self.artifacts) for replay in replays]
        return NewQuery(key, "comparison", items, tick, payload)

    def segment(self, item: str) -> Transitions:
        """A segment [1, L, ...] by its content hash."""
        if item not in self.loaded:
            self.loaded[item] = from_bytes(self.artifacts.get(item))
        return self.loaded[item]

    def hidden_rewards(self, item: str) -> np.ndarray:
        """What the environment paid on a segment: for simulated people only."""
        return self.segment(item).environment_rewards[0].numpy()


class ControlTeaching:
    """A reward ensemble that learns from comparisons of segments."""

    def __init__(
        self,
        archive: Archive,
        settings: FeedbackSettings,
        reward: RewardSettings,
        model: RewardEnsemble,
        generator: torch.Generator,
    ):
        self.archive, self.settings, self.reward = archive, settings, reward
        self.model, self.generator = model, generator
        self.likelihood = reward.likelihood
        self.optimiser = Adam(model.parameters(), weight_decay=reward.fit.weight_decay)
        self.fitted = False

    def questions(self, behaviour: Walk, count: int, key: str, tick: int) -> Iterator[NewQuery]:
        """Comparisons of segments of the latest rollout; drawn one by one, as they are taken."""
        chosen = self.choose(behaviour, count)
        return (
            self.archive.question(f"{key}/{i}", tick, behaviour.record, places)
            for i, places in enumerate(chosen)
        )

    def choose(self, walk: Walk, count: int) -> list[list[Window]]:
        """Pairs of segments of this behaviour to ask about; PlauditError where it holds no two."""
        windows = segments.windows(walk.mask, walk.last, self.settings.segment)
        where = [Window(row, start, self.settings.segment) for row, start in windows.tolist()]
        return [[where[j] for j in pair] for pair in self._pairs(walk, windows, count).tolist()]

    def pairs(self, responses: Sequence[Response]) -> reward_fit.Pairs | None:
        """The decided and equal comparisons as tensors."""
        feedback = [response.feedback for response in responses]
        said = [one for one in feedback if isinstance(one, Comparison) and one.answer in SAID]
        if not said:
            return None
        first, first_mask = stack([self.archive.segment(one.options[0]) for one in said])
        second, second_mask = stack([self.archive.segment(one.options[1]) for one in said])
        judgements = Comparisons(torch.tensor([SAID[one.answer] for one in said]))
        features = self.model.features
        return reward_fit.Pairs(features(first), features(second), first_mask, second_mask, judgements)

    @torch.no_grad()
    def returns(self, pairs: reward_fit.Pairs) -> Float[Tensor, "P 2"]:
        """Mean over the members of the summed rewards."""
        return reward_fit.segment_returns(self.model, pairs).mean(dim=0)

    def fit(self, pairs: reward_fit.Pairs, first: bool) -> dict[str, float]:
        """Go on from the fit before."""
        fit = self.reward.fit
        if self.model.scaling.count == 0:  # a model to start from brings its own scaling
            self.model.scale_inputs(
                torch.cat([pairs.first[pairs.first_mask], pairs.second[pairs.second_mask]])
            )
        steps = fit.first_steps if first else fit.steps
        likelihood = reward_fit.Likelihood(bradley_terry, self.likelihood)
        returns = reward_fit.drawn_returns(self.model, pairs.first_mask.shape[1], fit.drawn)
        self.fitted = True
        return reward_fit.fit(returns, self.optimiser, pairs, likelihood, (fit, steps), self.generator)

    def settle(self, behaviour: Walk) -> None:
        """Standardise every member over the latest rollout."""
        self.model.standardise(behaviour.record, behaviour.mask)

    def state_dict(self) -> dict[str, Any]:
        """The model, its optimiser and what draws the questions."""
        return {
            "model": dict(self.model.state_dict()),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "fitted": self.fitted,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.fitted = state["fitted"]

    def _pairs(self, walk: Walk, windows: Tensor, count: int) -> Tensor:
        apart = segments.apart(windows, self.settings.segment)
        if self.settings.ask == "random" or not self.fitted:
            return random.pairs(len(windows), count, self.generator, apart)
        candidates = random.pairs(len(windows), count * self.settings.candidates, self.generator, apart)
        with torch.no_grad():
            rewards = self.model(self.model.features(walk.record))
        sums = torch.nn.functional.pad(rewards.cumsum(dim=-1), (1, 0))
        rows, starts = windows.unbind(dim=1)
        returns = sums[:, rows, starts + self.settings.segment] - sums[:, rows, starts]
        return disagreement.pairs(returns, candidates, count, self.generator, self.likelihood.scale)
