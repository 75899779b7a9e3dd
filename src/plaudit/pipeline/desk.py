"""The desk between a loop and the people who answer: questions, segments, answers, wishes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from plaudit.annotators.client import Counts, SimulatedAnnotator, take_turns
from plaudit.batches import Comparisons
from plaudit.feedback import Comparison
from plaudit.models.transitions import Transitions
from plaudit.pipeline.commands import Commands
from plaudit.pipeline.segments import Window, cut, from_bytes, stack, to_bytes
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.store import NewQuery, Response, Store
from plaudit.trainers.reward_fit import Pairs

SAID = {"first": 1.0, "second": 0.0, "equal": 0.5}


@dataclass
class Desk:
    """Where queries, answers and segments lie, and who answers in simulation."""

    store: Store
    artifacts: Artifacts
    commands: Commands
    """Wishes about the run: pause, start, stop."""
    people: Sequence[SimulatedAnnotator] = ()
    replay: Callable[[Window], bytes] | None = None
    """What it takes to show a segment of the latest rollout to a person; none: nothing is kept for showing."""
    loaded: dict[str, Transitions] = field(default_factory=dict)
    """Segments read before, by content hash."""

    def question(self, key: str, tick: int, record: Transitions, places: Sequence[Window]) -> NewQuery:
        """A comparison of segments of the latest rollout; stores what it is about."""
        items = tuple(self.artifacts.put(to_bytes(cut(record, place))) for place in places)
        payload: dict[str, Any] = {}
        if self.replay is not None:
            payload["replays"] = [self.artifacts.put(self.replay(place)) for place in places]
        return NewQuery(key, "comparison", items, tick, payload)

    def segment(self, item: str) -> Transitions:
        """A segment [1, L, ...] by its content hash."""
        if item not in self.loaded:
            self.loaded[item] = from_bytes(self.artifacts.get(item))
        return self.loaded[item]

    def hidden_rewards(self, item: str) -> np.ndarray:
        """What the environment paid on a segment: for simulated people only."""
        return self.segment(item).environment_rewards[0].numpy()

    def simulate(self) -> None:
        """Let the simulated people answer what waits."""
        if self.people and self.store.pending():
            take_turns(self.people, self.store, self.hidden_rewards)

    def rates(self, upto: int) -> dict[str, float]:
        """What the simulated people achieved with the answers up to a cursor.

        Not with all answers: a run that was killed and resumed finds answers of its own future in the store.
        """
        if not self.people:
            return {}
        counts = [person.counts(self.store, self.hidden_rewards, upto) for person in self.people]
        return {f"people/{name}": value for name, value in sum(counts, Counts()).rates().items()}

    def pairs(
        self, responses: Sequence[Response], features: Callable[[Transitions], torch.Tensor]
    ) -> Pairs | None:
        """The decided and equal comparisons as tensors; skipped ones and `both bad` say nothing about order."""
        feedback = [response.feedback for response in responses]
        said = [one for one in feedback if isinstance(one, Comparison) and one.answer in SAID]
        if not said:
            return None
        first, first_mask = stack([self.segment(one.options[0]) for one in said])
        second, second_mask = stack([self.segment(one.options[1]) for one in said])
        judgements = Comparisons(torch.tensor([SAID[one.answer] for one in said]))
        return Pairs(features(first), features(second), first_mask, second_mask, judgements)
