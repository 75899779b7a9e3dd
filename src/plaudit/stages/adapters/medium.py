"""What a medium gives to a run: the learner and what goes on around it."""

from typing import Any, Protocol, runtime_checkable

from plaudit.rewards.learned.loop import FeedbackLoop, FeedbackSession
from plaudit.runs.config import RunConfig
from plaudit.runs.folder import RunFolder
from plaudit.trainers.learner import Learner


@runtime_checkable
class Task(Protocol):
    """A run put together from its config."""

    config: RunConfig
    learner: Learner
    session: FeedbackSession | None
    """Where people answer, if they are part of the run."""
    feedback: FeedbackLoop | None
    """What learns from them."""
    notes: set[str]
    """What somebody should know about this run."""
    resume: str
    """exact; or statistical, where an environment cannot be put back where it stood or sums on a GPU vary."""
    unit: str
    """What the budget is counted in, as in the metrics: timesteps, tokens, update or step."""

    @property
    def stopped(self) -> bool:
        """It ends before its budget is spent."""
        ...

    def begin(self, folder: RunFolder) -> None:
        """Keep what there is before anything is learned."""
        ...

    def after_step(self) -> dict[str, Any]:
        """Evaluations and checks that are due after an update; returns metrics."""
        ...

    def finish(self, folder: RunFolder) -> dict[str, Any]:
        """Save what was learned; returns how good it is."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What changes besides the learner."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        ...

    def close(self) -> None:
        """Release what is open."""
        ...
