"""Commands: what somebody wishes of a running loop, as rows in the store that it reads between updates."""

import time

from plaudit.storage.store import Store

PAUSE, START, STOP = "pause", "start", "stop"
POLL_SECONDS = 0.5
"""How often a loop that rests looks whether it should go on."""


class Stopped(Exception):
    """Somebody asked the run to stop."""


class Commands:
    """Reads the commands that came since the loop began; those of before were for an earlier process."""

    def __init__(self, store: Store):
        self.store = store
        self.read = max((command.id for command in store.commands()), default=0)
        self.paused = False

    def obey(self) -> None:
        """Take note of what came; returns at once, or after a pause is over. Raises `Stopped`."""
        self._look()
        while self.paused:
            time.sleep(POLL_SECONDS)
            self._look()

    def _look(self) -> None:
        for command in self.store.commands(self.read):
            self.read = command.id
            if command.kind == STOP:
                raise Stopped
            if command.kind in (PAUSE, START):
                self.paused = command.kind == PAUSE
