"""A reward learned for control: an ensemble that reads segments, and what to ask about behaviour."""

from collections.abc import Callable, Sequence
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
from plaudit.feedback import KINDS
from plaudit.models.reward_ensemble import RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.rewards import functions
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
    """A segment as a safetensors file; equal segments give equal bytes. One without an end says nothing of it."""
    pieces = {name: tensor[0].contiguous() for name, tensor in _judged(segment).items()}
    return save({name: tensor for name, tensor in pieces.items() if name != "ends" or tensor.any()})


def from_bytes(data: bytes) -> Transitions:
    """A segment back from its file, [1, L, ...]."""
    try:
        tensors: dict[str, Tensor] = load(data)
        tensors.setdefault("ends", torch.zeros_like(tensors["environment_rewards"]))
        return Transitions(**{name: tensor.unsqueeze(0) for name, tensor in tensors.items()})
    except (SafetensorError, TypeError, KeyError) as error:
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
MOST, FASTEST = 64, 60.0
"""Pictures of a clip, and of a second of it, about: more are no clearer to people, and each takes time to draw."""


def clips(replays: Sequence[Replay], artifacts: Artifacts) -> list[dict[str, Any]]:
    """Draw segments that are shown side by side, all at one speed, and keep their pictures; PlauditError where nothing
    can be drawn here."""
    longest = max(len(replay.actions) - replay.first_frame for replay in replays)
    fps = max(rendering.frames_per_second(replay) for replay in replays)
    every = max(-(-(longest + 1) // MOST), round(fps / FASTEST))
    return [_clip(rendering.film(replay, SIZE, every), artifacts) for replay in replays]


def _clip(film: rendering.Film, artifacts: Artifacts) -> dict[str, Any]:
    names = [artifacts.put(sheet) for sheet in rendering.sheets(film.frames)]
    return rendering.card(film, names)


class SegmentStore:
    """The segments people are asked about, as artifacts."""

    def __init__(
        self,
        artifacts: Artifacts,
        replay: Callable[[Window], Replay] | None = None,
        drawn: bool = False,
        judge: Callable[[Transitions], Tensor] | None = None,
    ):
        self.artifacts, self.judge = artifacts, judge
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
                payload["clips"] = clips(replays, self.artifacts)
        payload |= KINDS[wanted.kind].PAYLOAD
        return NewQuery(wanted.key, wanted.kind, items, tick, payload, purpose=wanted.purpose)

    def segment(self, item: str) -> Transitions:
        """A segment [1, L, ...] by its content hash."""
        if item not in self.loaded:
            self.loaded[item] = from_bytes(self.artifacts.get(item))
        return self.loaded[item]

    def gold_rewards(self, item: str) -> np.ndarray:
        """What a segment is worth by the judge, or else what the environment paid: for simulated people only."""
        segment = self.segment(item)
        said = segment.environment_rewards if self.judge is None else self.judge(segment)
        if said.ndim == 1:  # of the whole segment: felt as it ends
            said = torch.nn.functional.pad(said[:, None], (segment.environment_rewards.shape[1] - 1, 0))
        return said[0].numpy()


@dataclass(frozen=True)
class SegmentOptions:
    """R judgements of up to C segments of up to L steps each, as the reward model sees them."""

    features: Float[Tensor, "R C L F"]
    mask: Bool[Tensor, "R C L"]
    ends: Bool[Tensor, "R C L"]
    """The step terminated its episode."""


class SegmentReward:
    """A `RewardMedium`: an ensemble whose members sum their rewards over a segment."""

    usual_rate = 3e-3
    folds = 3

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
        ends = torch.zeros_like(masks)
        ends[there] = record.ends > 0
        return SegmentOptions(spread, masks, ends)

    def prepare(self, terms: Sequence[Term]) -> None:
        """Fix the scaling of the inputs by what was judged first; a model to start from brings its own."""
        if self.model.scaling.count == 0:
            sides = (_by_option(term.options) for term in terms)
            self.model.scale_inputs(torch.cat([one.features[one.mask] for one in sides]))
        if any(bool(term.options.ends.any()) for term in terms):
            self.model.anchored.fill_(True)

    def subsample(self, options: SegmentOptions, generator: torch.Generator) -> Int[Tensor, "D"]:
        """A share of the time steps, the same for all segments; where lengths differ, evenly spaced ones."""
        length = options.mask.shape[2]
        if not bool(self.model.anchored):
            return torch.randperm(length, generator=generator)[: max(1, round(self.share * length))]
        apart = max(1, min(length, round(1 / self.share)))
        return torch.arange(int(torch.randint(apart, (1,), generator=generator)), length, apart)

    def returns(
        self, options: SegmentOptions, subsample: Int[Tensor, "D"] | None = None
    ) -> Float[Tensor, "K R C"]:
        """The summed reward of every segment by every member; of some steps, scaled up to all."""
        o, length = _by_option(options), options.mask.shape[2]
        columns: Any = slice(None) if subsample is None else subsample
        features, mask = (part[:, :, columns].flatten(end_dim=1) for part in (o.features, o.mask))
        # not even a NaN behind the end gets through
        rewards = self.model(features.masked_fill(~mask.unsqueeze(-1), 0.0))
        sums = torch.where(mask, rewards, 0.0).sum(dim=-1)
        if subsample is not None:
            sums = sums * (length / len(subsample))
        ended = o.ends.flatten(end_dim=1)
        if bool(ended.any()):  # whatever is drawn, an end is read
            rows, steps = torch.nonzero(ended, as_tuple=True)
            sums = sums.index_add(1, rows, self.model.ending(o.features.flatten(end_dim=1)[rows, steps]))
        return sums.unflatten(1, o.mask.shape[:2]).transpose(1, 2)

    def state_dict(self) -> dict[str, Any]:
        """The ensemble with its scaling."""
        return dict(self.model.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved ensemble."""
        self.model.load_state_dict(state)


def paid(dense: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Rewards:
    """A reward of every step."""
    dense = torch.where(mask, dense, 0.0)
    return Rewards(dense.double().sum(dim=1).float(), dense)


Scored = Callable[[Transitions], Tensor]
"""What somebody's function says of a record: one number per step, [B, T], or per row, [B]."""


def scored_by(function: str | Callable[..., Any], name: str) -> Scored:
    """Somebody's function, or the one at path/to/file.py:name: `f(observations, actions, next_observations)`, arrays
    [B, T, ...], which returns one number per step, [B, T], or per row, [B]. `name` stands in errors."""
    called = functions.load(function) if isinstance(function, str) else function

    def scored(record: Transitions) -> Tensor:
        given = [tensor.numpy() for tensor in (record.observations, record.executed, record.successors)]
        steps = record.environment_rewards.shape
        try:
            returned = torch.as_tensor(np.asarray(called(*given), dtype=np.float32))
        except Exception as error:
            raise PlauditError(
                f"{name}: it raised {type(error).__name__}: {' '.join(str(error).split())}; the run can be "
                "resumed after mending it"
            ) from error
        if returned.shape not in (steps, steps[:1]):
            raise PlauditError(
                f"{name}: it returned shape {list(returned.shape)}; return one number per step, "
                f"{list(steps)}, or one per row, {list(steps[:1])}"
            )
        if not torch.isfinite(returned).all():
            raise PlauditError(f"{name}: it returned a number that is not finite; mend the function")
        return returned

    return scored


def function_reward(place: str, name: str) -> Callable[[Trajectories], Rewards]:
    """A reward from somebody's function, see `scored_by`."""
    scored = scored_by(place, f"reward {name!r}")

    def reward(behaviour: Trajectories) -> Rewards:
        returned = scored(behaviour.record)
        return paid(returned, behaviour.mask) if returned.ndim == 2 else Rewards(returned)

    return reward


def environment_reward(behaviour: Trajectories) -> Rewards:
    """The environment's own reward: plain reinforcement learning."""
    return paid(behaviour.record.environment_rewards, behaviour.mask)


def _by_option(options: SegmentOptions) -> SegmentOptions:
    """All first options, then all second ones: [C, R, ...]."""
    o = options
    return SegmentOptions(o.features.transpose(0, 1), o.mask.transpose(0, 1), o.ends.transpose(0, 1))
