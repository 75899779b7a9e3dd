"""How fast a loop may go on while real people answer."""

import time
from collections.abc import Callable

from plaudit.rewards.config import FeedbackConfig
from plaudit.rewards.learned.session import FeedbackSession
from plaudit.storage.commands import POLL_SECONDS

PATIENCE_AT_THE_END = 60.0
"""Seconds without an answer after which the last update waits no longer for the few questions still open."""


class Pace:
    """Rests, politely, while too many questions wait or nobody has taught anything yet.

    A computer improves a policy in seconds. Without this it would have spent its budget before people have seen the
    second clip; so it stays as far ahead of them as the settings say, and goes on by itself as they answer, or once it
    has rested without an answer for as long as its patience lasts. While it learns, or somebody has paused it, people
    may have nothing to answer: that time does not count.
    """

    def __init__(self, session: FeedbackSession, config: FeedbackConfig):
        self.session, self.config = session, config
        self.waiting = 0
        """Questions that waited when it last looked."""
        self.silence = 0.0
        """Seconds rested since the last answer."""

    def keep(self, taught: Callable[[], bool], last: bool) -> None:
        """Returns once the loop may go on; at once where people are simulated.

        `taught`: whether any answer says something yet. The last update waits for what is still open, as long as
        somebody goes on answering: no answer should be given in vain.
        """
        ahead, patience = self.config.ahead, self.config.patience or float("inf")
        while not self.session.people:
            waiting = self.hear()
            near = waiting <= ahead and (not last or not waiting or self.silence >= PATIENCE_AT_THE_END)
            if (near or self.silence >= patience) and (taught() or not waiting):
                return
            self.session.commands.obey()
            began = time.monotonic()
            time.sleep(POLL_SECONDS)
            self.silence += time.monotonic() - began

    def hear(self) -> int:
        """How many questions wait; fewer than before, and the silence is over."""
        waiting = self.session.store.pending()
        if waiting < self.waiting:
            self.silence = 0.0
        self.waiting = waiting
        return waiting
