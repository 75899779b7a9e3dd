"""A loop obeys the wishes that came since it began."""

import threading
import time

import pytest

from plaudit.storage import MemoryStore
from plaudit.storage.store import PAUSE, START, STOP, Commands, Stopped


def test_wishes_of_before_were_for_an_earlier_process() -> None:
    store = MemoryStore()
    store.command(STOP, {})
    commands = Commands(store)
    commands.obey()
    store.command(STOP, {})
    with pytest.raises(Stopped):
        commands.obey()


def test_a_pause_lasts_until_somebody_starts_it_again() -> None:
    store = MemoryStore()
    commands = Commands(store)
    store.command(PAUSE, {})
    begun = time.monotonic()
    thread = threading.Timer(0.2, store.command, (START, {}))
    thread.start()
    commands.obey()
    assert time.monotonic() - begun >= 0.2 and not commands.paused
    thread.join()


def test_a_pause_can_be_ended_by_a_stop() -> None:
    store = MemoryStore()
    commands = Commands(store)
    store.command(PAUSE, {})
    store.command(STOP, {})
    with pytest.raises(Stopped):
        commands.obey()
