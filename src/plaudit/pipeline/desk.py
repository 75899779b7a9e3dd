"""The desk between a loop and the people who answer: questions, what they are about, answers, wishes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from plaudit.annotators.client import Counts, SimulatedAnnotator, take_turns
from plaudit.storage import keys
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

    def lessons(self, upto: int) -> list[Response]:
        """The standing answers up to a cursor that may be learned from."""
        watching = {query.id for query in self.store.queries() if not keys.teaches(query.key)}
        return [response for response in self.store.view(upto) if response.query_id not in watching]
