"""What to ask about behaviour in an environment, and what the reward that is learned from it pays."""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from plaudit.batches import Rewards
from plaudit.environments.control.rollouts import Trajectories
from plaudit.errors import PlauditError
from plaudit.feedback import shown_by
from plaudit.queries import disagreement, ends, random, segments
from plaudit.rewards.config import FeedbackConfig
from plaudit.rewards.control import SegmentReward, SegmentStore, Window, paid
from plaudit.rewards.learned.loop import Wanted
from plaudit.rewards.learned.terms import decided, of_responses
from plaudit.rewards.novelty import novelty
from plaudit.storage.store import NewQuery, Response

ATTEMPTS = 50
"""Draws of segments for a ranking before some may overlap."""
ENOUGH, FEW = 20, 0.5
"""From so many answers on it is told that people could decide less than this share of them."""
HARDLY = 0.3
"""Where people can decide a smaller share of pairs than this, fewer are asked: that share of what is due."""


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
        self.notes: set[str] = set()
        self.asked, self.decided = [0, 0, 0], [0, 0, 0]
        """Pairs that were answered, and those decided, by how many of their segments end in a termination."""

    def ask(self, behaviour: Trajectories, wanted: Sequence[Wanted], tick: int) -> Iterator[NewQuery]:
        """Questions about segments of this rollout; drawn one by one, as they are taken."""
        chosen = self.choose(behaviour, wanted)
        said = {} if self.config.question is None else {"question": self.config.question}
        return (
            self.store.question(one, tick, behaviour.record, places, said)
            for one, places in zip(wanted, chosen, strict=True)
            if places is not None
        )

    def heard(self, standing: Sequence[Response]) -> None:
        """Count which pairs people can decide."""
        self.asked, self.decided = [0, 0, 0], [0, 0, 0]
        for one in of_responses(standing):
            if one.kind == "comparison":
                sort = sum(bool(self.store.segment(option).ends.any()) for option in one.options)
                self.asked[sort] += 1
                self.decided[sort] += decided(one)
        self.notes = set()
        if sum(self.asked) >= ENOUGH and sum(self.decided) < FEW * sum(self.asked):
            sorts = ("no segment ends its episode", "one does", "both do")
            told = [
                f"{decided_of} of {count} where {sort}"
                for sort, count, decided_of in zip(sorts, self.asked, self.decided, strict=True)
                if count
            ]
            self.notes.add(
                f"only {sum(self.decided)} of {sum(self.asked)} pairs could be decided ({', '.join(told)}): most "
                "segments looked alike; choose a longer feedback.segment, or a longer feedback.until"
            )

    def choose(self, behaviour: Trajectories, wanted: Sequence[Wanted]) -> list[list[Window] | None]:
        """Segments for each question; PlauditError where this behaviour holds no two. None: not worth asking now."""
        places = windows(behaviour, self.config.segment)
        where = [Window(*place) for place in places.tolist()]
        count = sum(one.kind == "comparison" for one in wanted)
        pairs = iter(self._pairs(behaviour, places, count).tolist() if count else [])
        chosen = []
        for one in wanted:
            if one.kind == "comparison":
                found = next(pairs, None)
            else:
                found = self._some(places, shown_by(one.kind, self.config.options))
            chosen.append(None if found is None else [where[i] for i in found])
        return chosen

    def _pairs(self, behaviour: Trajectories, places: Int[Tensor, "W 3"], count: int) -> Int[Tensor, "P 2"]:
        """So many pairs, fewer where people can hardly decide what this rollout holds, or there are no more."""
        rows, starts, lengths = places.unbind(dim=1)
        apart = segments.apart(places[:, :2], lengths)
        ending = behaviour.terminated[rows, starts + lengths - 1]
        decidable = ends.decidable(self.asked, self.decided)
        shares = ends.shares(decidable, ending)
        likely = sum(share * some for share, some in zip(shares, decidable, strict=True))
        if likely < HARDLY:
            count = ceil(likely * count)
        if self.config.query == "random" or not self.taught:
            found = ends.pairs(ending, shares, count, self.generator, apart)
        else:
            candidates = ends.pairs(ending, shares, count * self.config.candidates, self.generator, apart)
            model = self.reward.model
            with torch.no_grad():
                rewards = model(model.features(behaviour.record), behaviour.record.ends)
            sums = torch.nn.functional.pad(rewards.cumsum(dim=-1), (1, 0))
            returns = sums[:, rows, starts + lengths] - sums[:, rows, starts]
            found = disagreement.pairs(returns, candidates, count, self.generator, self.scale)
        return found[~random.repeats(found)]

    def _some(self, places: Int[Tensor, "W 3"], size: int) -> list[int]:
        """So many windows, no two of which share a step. PlauditError where there are not so many."""
        spans = [(row, start, start + length) for row, start, length in places.tolist()]
        for _ in range(ATTEMPTS):
            found: list[int] = []
            for i in torch.randperm(len(places), generator=self.generator).tolist():
                row, start, stop = spans[i]
                others = (spans[j] for j in found)
                if all(row != where or stop <= begins or ends <= start for where, begins, ends in others):
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

    def exploring(self, behaviour: Trajectories) -> Rewards:
        """Nothing differs yet in what people were shown: whatever is new is worth a try."""
        return paid(novelty(behaviour.record.successors, behaviour.mask), behaviour.mask)

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


def windows(behaviour: Trajectories, length: int) -> Int[Tensor, "W 3"]:
    """(row, first step, steps) of what may be asked about: whole windows, then those that a termination cuts short.

    Where no episode is as long as that, windows are as long as half of the rows have one.
    """
    b = behaviour
    runs = segments.run_lengths(b.mask, b.last)
    short = segments.cut_short(b.mask, b.last, b.terminated, length)
    longest = runs.amax(dim=1)
    if len(short) == 0:
        length = min(length, max(1, int(longest.median())))
    elif int(longest.max()) < length:
        return short
    whole = segments.windows(b.mask, b.last, length)
    return torch.cat([torch.nn.functional.pad(whole, (0, 1), value=length), short])
