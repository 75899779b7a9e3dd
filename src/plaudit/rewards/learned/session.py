"""A session of feedback: questions, what they are about, answers, wishes about the run, and simulated people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from plaudit.annotators.client import Counts, SimulatedAnnotator, take_turns
from plaudit.annotators.simulated import SimulatedPerson
from plaudit.seeds import seed_of
from plaudit.storage.answers import AnswerLog
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.commands import Commands
from plaudit.storage.store import Response, Store


@dataclass
class FeedbackSession:
    """Where queries, answers and what they are about lie, and who answers in simulation."""

    store: Store
    artifacts: Artifacts
    commands: Commands
    """Wishes about the run: pause, start, stop."""
    gold_rewards: Callable[[str], np.ndarray]
    """What an option is truly worth, by its content hash: for simulated people only."""
    people: Sequence[SimulatedAnnotator] = ()

    def __post_init__(self) -> None:
        """One log for simulated people, who read to the end, and one for what is learned, up to a cursor."""
        self.log, self._peoples = AnswerLog(self.store), AnswerLog(self.store)

    def simulate(self) -> None:
        """Let the simulated people answer what waits."""
        if self.people and self.store.pending():
            take_turns(self.people, self._peoples, self.gold_rewards)

    def rates(self, upto: int) -> dict[str, float]:
        """What the simulated people achieved with the answers up to a cursor.

        Not with all answers: a run that was killed and resumed finds answers of its own future in the store.
        """
        if not self.people:
            return {}
        counts = [person.counts(self._peoples, self.gold_rewards, upto) for person in self.people]
        return {f"people/{name}": value for name, value in sum(counts, Counts()).rates().items()}

    def read(self, upto: int) -> list[Response]:
        """The answers that came since the last reading, up to a cursor."""
        return self.log.read(upto)

    def standing(self, purpose: str = "train") -> list[Response]:
        """The standing answers up to where was read, to questions of one purpose."""
        known = self.log.queries
        return [one for one in self.log.view if known[one.query_id].purpose == purpose]


def simulated_people(persons: Sequence[SimulatedPerson], seed: int) -> list[SimulatedAnnotator]:
    """The simulated people of a run, by name."""
    return [
        SimulatedAnnotator(f"simulated-{i}", person, seed_of(seed, "person", i))
        for i, person in enumerate(persons)
    ]
