"""The desk between a loop and the people who answer: questions, what they are about, answers, wishes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from plaudit.annotators.client import Counts, SimulatedAnnotator, take_turns
from plaudit.storage.answers import AnswerLog
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.commands import Commands
from plaudit.storage.store import Response, Store


@dataclass
class Desk:
    """Where queries, answers and what they are about lie, and who answers in simulation."""

    store: Store
    artifacts: Artifacts
    commands: Commands
    """Wishes about the run: pause, start, stop."""
    hidden_rewards: Callable[[str], np.ndarray]
    """What an option is truly worth, by its content hash: for simulated people only."""
    people: Sequence[SimulatedAnnotator] = ()

    def __post_init__(self) -> None:
        """One log for the people, who read to the end, and one for what is learned, up to a cursor."""
        self._asked, self._learned = AnswerLog(self.store), AnswerLog(self.store)

    def simulate(self) -> None:
        """Let the simulated people answer what waits."""
        if self.people and self.store.pending():
            take_turns(self.people, self._asked, self.hidden_rewards)

    def rates(self, upto: int) -> dict[str, float]:
        """What the simulated people achieved with the answers up to a cursor.

        Not with all answers: a run that was killed and resumed finds answers of its own future in the store.
        """
        if not self.people:
            return {}
        counts = [person.counts(self._asked, self.hidden_rewards, upto) for person in self.people]
        return {f"people/{name}": value for name, value in sum(counts, Counts()).rates().items()}

    def lessons(self, upto: int) -> list[Response]:
        """The standing answers up to a cursor that may be learned from."""
        self._learned.read(upto)
        asked = self._learned.queries
        return [one for one in self._learned.view if asked[one.query_id].purpose == "train"]
