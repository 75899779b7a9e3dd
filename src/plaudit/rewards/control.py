"""A reward learned for control: an ensemble that reads segments, and what to ask about behaviour."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from plaudit.batches import Rewards
from plaudit.environments.control import rendering
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.rollouts import Trajectories
from plaudit.errors import PlauditError
from plaudit.feedback import KINDS, shown_by
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.queries import disagreement, random, segments
from plaudit.rewards import functions
from plaudit.rewards.config import FeedbackConfig
from plaudit.rewards.learned.loop import Wanted
from plaudit.rewards.learned.terms import Judgement, Term
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.store import NewQuery


@dataclass(frozen=True)
class Window:
    """Where a segment lies in a rollout."""

    row: int
    start: int
    length: int

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.start, self.start + self.length)


def cut(record: Transitions, window: Window) -> Transitions:
    """The segment alone, [1, L, ...]."""
    return Transitions(
        **{
            name: tensor[window.row : window.row + 1, window.columns]
            for name, tensor in _judged(record).items()
        }
    )


def _judged(record: Transitions) -> dict[str, Tensor]:
    """What a judgement is about, by field: not what else would have been legal."""
    return {field.name: getattr(record, field.name) for field in fields(record) if field.name != "legal"}


def to_bytes(segment: Transitions) -> bytes:
    """A segment as a safetensors file; equal segments give equal bytes."""
    return save({name: tensor[0].contiguous() for name, tensor in _judged(segment).items()})


def from_bytes(data: bytes) -> Transitions:
    """A segment back from its file, [1, L, ...]."""
    try:
        tensors: dict[str, Tensor] = load(data)
        return Transitions(**{name: tensor.unsqueeze(0) for name, tensor in tensors.items()})
    except (SafetensorError, TypeError) as error:
        raise PlauditError(
            f"an artifact is not a control segment ({error}); restore it from a copy"
        ) from None


def stack(segments: list[Transitions]) -> tuple[Transitions, Tensor]:
    """Segments side by side [P, L, ...] with their mask [P, L]; shorter ones are padded with zeros at the end."""
    length = max(segment.observations.shape[1] for segment in segments)
    padded = {
        name: torch.cat([_pad(getattr(segment, name), length) for segment in segments])
        for name in _judged(segments[0])
    }
    lengths = torch.tensor([segment.observations.shape[1] for segment in segments])
    return Transitions(**padded), torch.arange(length) < lengths[:, None]


def _pad(tensor: Tensor, length: int) -> Tensor:
    missing = length - tensor.shape[1]
    return torch.cat([tensor, tensor.new_zeros(1, missing, *tensor.shape[2:])], dim=1) if missing else tensor


SIZE = (240, 240)
MOST = 64
"""Pictures of a clip: more are no clearer to people, and each takes time to draw."""


def clip(replay: Replay, artifacts: Artifacts) -> dict[str, Any]:
    """Draw a segment and keep its pictures; PlauditError where nothing can be drawn here."""
    steps = len(replay.actions) - replay.first_frame
    every = -(-(steps + 1) // MOST)
    frames = rendering.frames(replay, SIZE, every)
    names = [artifacts.put(sheet) for sheet in rendering.sheets(frames)]
    return rendering.card(frames, rendering.frames_per_second(replay) / every, names)


class SegmentStore:
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

    def question(
        self, wanted: Wanted, tick: int, record: Transitions, places: Sequence[Window], said: dict[str, Any]
    ) -> NewQuery:
        """A question about segments of the latest rollout; stores what it is about. `said`: words for people."""
        items = tuple(self.artifacts.put(to_bytes(cut(record, place))) for place in places)
        payload: dict[str, Any] = dict(said)
        if self.replay is not None:
            replays = [self.replay(place) for place in places]
            payload["replays"] = [self.artifacts.put(replay.to_bytes()) for replay in replays]
            if self.drawn:
                payload["clips"] = [clip(replay, self.artifacts) for replay in replays]
        payload |= KINDS[wanted.kind].PAYLOAD
        return NewQuery(wanted.key, wanted.kind, items, tick, payload, purpose=wanted.purpose)

    def segment(self, item: str) -> Transitions:
        """A segment [1, L, ...] by its content hash."""
        if item not in self.loaded:
            self.loaded[item] = from_bytes(self.artifacts.get(item))
        return self.loaded[item]

    def gold_rewards(self, item: str) -> np.ndarray:
        """What the environment paid on a segment: for simulated people only."""
        return self.segment(item).environment_rewards[0].numpy()


EARLY_END = (
    "episodes end by themselves here, so their length tells part of the true reward to whoever learns from people; "
    "environment.horizon: fixed takes that away"
)
ATTEMPTS = 50
"""Draws of segments for a ranking before some may overlap."""


@dataclass(frozen=True)
class SegmentOptions:
    """R judgements of up to C segments of up to L steps each, as the reward model sees them."""

    features: Float[Tensor, "R C L F"]
    mask: Bool[Tensor, "R C L"]


class SegmentReward:
    """A `RewardMedium`: an ensemble whose members sum their rewards over a segment."""

    usual_rate = 3e-3

    def __init__(self, model: RewardEnsemble, load: Callable[[Any], Transitions], subsample: float = 1.0):
        self.model, self.load, self.share = model, load, subsample

    def tensors(self, rows: Sequence[Judgement]) -> SegmentOptions:
        """The options of judgements of one kind; what a row has not, and what is shorter, is masked out."""
        record, mask = stack([self.load(option) for one in rows for option in one.options])
        features = self.model.features(record)
        most = max(len(one.options) for one in rows)
        there = torch.tensor([[i < len(one.options) for i in range(most)] for one in rows])
        spread = features.new_zeros(*there.shape, *features.shape[1:])
        spread[there] = features
        masks = mask.new_zeros(*there.shape, mask.shape[1])
        masks[there] = mask
        return SegmentOptions(spread, masks)

    def prepare(self, terms: Sequence[Term]) -> None:
        """Fix the scaling of the inputs by what was judged first; a model to start from brings its own."""
        if self.model.scaling.count == 0:
            sides = (_by_option(term.options) for term in terms)
            self.model.scale_inputs(torch.cat([one.features[one.mask] for one in sides]))

    def subsample(self, options: SegmentOptions, generator: torch.Generator) -> Int[Tensor, "D"]:
        """A share of the time steps, the same for all segments."""
        length = options.mask.shape[2]
        return torch.randperm(length, generator=generator)[: max(1, round(self.share * length))]

    def returns(
        self, options: SegmentOptions, subsample: Int[Tensor, "D"] | None = None
    ) -> Float[Tensor, "K R C"]:
        """The summed reward of every segment by every member; of some steps, scaled up to all."""
        o, length = _by_option(options), options.mask.shape[2]
        columns: Any = slice(None) if subsample is None else subsample
        features, mask = o.features[:, :, columns], o.mask[:, :, columns]
        sums = _sums(self.model, features.flatten(end_dim=1), mask.flatten(end_dim=1))
        sums = sums.unflatten(1, o.mask.shape[:2]).transpose(1, 2)
        return sums if subsample is None else sums * (length / len(subsample))

    def state_dict(self) -> dict[str, Any]:
        """The ensemble with its scaling."""
        return dict(self.model.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved ensemble."""
        self.model.load_state_dict(state)


class SegmentQuestions:
    """What to ask about the latest rollout, and what the ensemble pays for it."""

    def __init__(
        self,
        store: SegmentStore,
        config: FeedbackConfig,
        reward: SegmentReward,
        generator: torch.Generator,
        scale: float,
    ):
        self.store, self.config, self.reward = store, config, reward
        self.generator, self.scale = generator, scale
        self.taught = False
        """The ensemble has been fitted once, so that it may disagree."""
        self.early_end_matters = True
        """The environment's own horizon is kept."""
        self.notes: set[str] = set()

    def ask(self, behaviour: Trajectories, wanted: Sequence[Wanted], tick: int) -> Iterator[NewQuery]:
        """Questions about segments of this rollout; drawn one by one, as they are taken."""
        if self.early_end_matters and bool(behaviour.terminated.any()):
            self.notes.add(EARLY_END)
        chosen = self.choose(behaviour, wanted)
        said = {} if self.config.question is None else {"question": self.config.question}
        return (
            self.store.question(one, tick, behaviour.record, places, said)
            for one, places in zip(wanted, chosen, strict=True)
        )

    def choose(self, behaviour: Trajectories, wanted: Sequence[Wanted]) -> list[list[Window]]:
        """Segments for each question; PlauditError where this behaviour holds no two."""
        length = self.config.segment
        places = segments.windows(behaviour.mask, behaviour.last, length)
        where = [Window(row, start, length) for row, start in places.tolist()]
        count = sum(one.kind == "comparison" for one in wanted)
        pairs = iter(self._pairs(behaviour, places, count).tolist() if count else [])
        found = []
        for one in wanted:
            if one.kind == "comparison":
                found.append([where[i] for i in next(pairs)])
            else:
                size = shown_by(one.kind, self.config.options)
                found.append([where[i] for i in self._some(places, size)])
        return found

    def _pairs(self, behaviour: Trajectories, places: Tensor, count: int) -> Tensor:
        apart = segments.apart(places, self.config.segment)
        if self.config.query == "random" or not self.taught:
            return random.pairs(len(places), count, self.generator, apart)
        candidates = random.pairs(len(places), count * self.config.candidates, self.generator, apart)
        model = self.reward.model
        with torch.no_grad():
            rewards = model(model.features(behaviour.record))
        sums = torch.nn.functional.pad(rewards.cumsum(dim=-1), (1, 0))
        rows, starts = places.unbind(dim=1)
        returns = sums[:, rows, starts + self.config.segment] - sums[:, rows, starts]
        return disagreement.pairs(returns, candidates, count, self.generator, self.scale)

    def _some(self, places: Int[Tensor, "W 2"], size: int) -> list[int]:
        """So many windows, no two of which share a step. PlauditError where there are not so many."""
        for _ in range(ATTEMPTS):
            order = torch.randperm(len(places), generator=self.generator).tolist()
            found: list[int] = []
            for i in order:
                row, start = places[i].tolist()
                clear = (
                    abs(start - int(places[j, 1])) >= self.config.segment
                    for j in found
                    if int(places[j, 0]) == row
                )
                if all(clear):
                    found.append(i)
                if len(found) == size:
                    return found
        raise PlauditError(
            f"feedback.options: this rollout holds no {size} segments of {self.config.segment} steps that do not "
            "overlap; choose a shorter feedback.segment, a longer rollout or fewer options"
        )

    def normalise(self, behaviour: Trajectories, refitted: bool) -> None:
        """Standardise every member over the latest rollout."""
        self.taught = self.taught or refitted
        self.reward.model.standardise(behaviour.record, behaviour.mask)

    def rewards(self, behaviour: Trajectories) -> Rewards:
        """Of every step."""
        return paid(self.reward.model.reward(behaviour.record), behaviour.mask)

    def state_dict(self) -> dict[str, Any]:
        """What draws the questions."""
        return {
            "generator": self.generator.get_state(),
            "taught": self.taught,
            "notes": sorted(self.notes),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.generator.set_state(state["generator"])
        self.taught, self.notes = state["taught"], set(state["notes"])


def paid(dense: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Rewards:
    """A reward of every step."""
    dense = torch.where(mask, dense, 0.0)
    return Rewards(dense.double().sum(dim=1).float(), dense)


def function_reward(place: str, name: str) -> Callable[[Trajectories], Rewards]:
    """A reward from somebody's function at path/to/file.py:name: `f(observations, actions, next_observations)`, arrays
    [B, T, ...] of a rollout, which returns one number per step, [B, T], or per row, [B]."""
    function = functions.load(place)

    def reward(behaviour: Trajectories) -> Rewards:
        record, mask = behaviour.record, behaviour.mask
        given = [tensor.numpy() for tensor in (record.observations, record.executed, record.successors)]
        try:
            returned = torch.as_tensor(np.asarray(function(*given), dtype=np.float32))
        except Exception as error:
            raise PlauditError(
                f"reward {name!r}: it raised {type(error).__name__}: {' '.join(str(error).split())}; the run can be "
                "resumed after mending it"
            ) from error
        if returned.shape not in (mask.shape, mask.shape[:1]):
            raise PlauditError(
                f"reward {name!r}: it returned shape {list(returned.shape)}; return one number per step, "
                f"{list(mask.shape)}, or one per row, {list(mask.shape[:1])}"
            )
        if not torch.isfinite(returned).all():
            raise PlauditError(f"reward {name!r}: it returned a number that is not finite; mend the reward")
        return paid(returned, mask) if returned.ndim == 2 else Rewards(returned)

    return reward


def environment_reward(behaviour: Trajectories) -> Rewards:
    """The environment's own reward: plain reinforcement learning."""
    return paid(behaviour.record.environment_rewards, behaviour.mask)


def _by_option(options: SegmentOptions) -> SegmentOptions:
    """All first options, then all second ones: [C, R, ...]."""
    return SegmentOptions(options.features.transpose(0, 1), options.mask.transpose(0, 1))


def _sums(
    model: RewardEnsemble, features: Float[Tensor, "N L F"], mask: Bool[Tensor, "N L"]
) -> Float[Tensor, "K N"]:
    # not even a NaN behind the end gets through
    rewards = model(features.masked_fill(~mask.unsqueeze(-1), 0.0))
    return torch.where(mask, rewards, 0.0).sum(dim=-1)
