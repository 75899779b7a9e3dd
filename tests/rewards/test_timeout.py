import asyncio
import math
import signal
import sys
import threading
import time
from contextvars import ContextVar

import pytest

from plaudit.errors import PlauditError
from plaudit.rewards.functions import adapt
from tests.environments.language.three import message, numbers, some


def test_an_exception_is_one_sentence_that_says_where() -> None:
    def reward(completions, **columns):
        return [{}["label\n"] for _ in completions]

    line = reward.__code__.co_firstlineno + 1
    text = message(reward)
    assert f"it raised KeyError in line {line} of test_timeout.py: 'label\\n'" in text
    assert "the run can be resumed after mending it" in text

    def quits(texts):
        sys.exit("no")

    async def cancelled(texts):
        raise asyncio.CancelledError

    def lines(texts):
        raise ValueError("one\n   two" + 1000 * "!")

    for limit in (10.0, None):
        assert "raised SystemExit in line" in message(quits, time_limit=limit)
        assert "raised CancelledError" in message(cancelled, time_limit=limit)
        assert "one two!!!" in message(lines, time_limit=limit) and len(message(lines)) < 700


def test_the_cause_is_kept() -> None:
    with pytest.raises(PlauditError) as caught:
        adapt(lambda texts: 1 / 0, "mine")(some())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("limit", [0, -1.0, math.nan, math.inf])
def test_a_time_limit_is_a_number_of_seconds(limit: float) -> None:
    with pytest.raises(PlauditError, match="time_limit"):
        adapt(lambda texts: [], "mine", limit)


def test_a_hanging_reward_is_given_up_and_keeps_nothing_alive() -> None:
    let_go = threading.Event()
    before = set(threading.enumerate())

    def hangs(texts):
        let_go.wait(30)

    async def hangs_too(texts):
        while not let_go.is_set():
            await asyncio.sleep(0.01)

    try:
        for function in (hangs, hangs_too):
            start = time.monotonic()
            text = message(function, time_limit=0.2)
            assert 0.2 <= time.monotonic() - start < 5
            assert "longer than 0.2 seconds" in text and "`time_limit`" in text and "resumed" in text
        left = [thread for thread in threading.enumerate() if thread not in before]
        assert len(left) == 2 and all(thread.daemon for thread in left)
    finally:  # also where the test fails: the threads would outlive it
        let_go.set()
    for thread in left:
        thread.join(5)


def test_a_reward_in_time_leaves_no_thread() -> None:
    before = threading.active_count()
    adapt(lambda texts: [1, 2, 3], "mine")(some())
    assert threading.active_count() == before


def test_an_interrupt_is_heard_while_waiting() -> None:
    let_go = threading.Event()
    main = threading.get_ident()

    def hangs(texts):
        signal.pthread_kill(main, signal.SIGINT)
        let_go.wait(30)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        adapt(hangs, "mine", 25.0)(some())
    assert time.monotonic() - start < 10
    let_go.set()


def test_without_a_limit_the_function_runs_here() -> None:
    seen = []

    def reward(texts):
        seen.append(threading.current_thread())
        return [1, 2, 3]

    adapt(reward, "mine", None)(some())
    adapt(reward, "mine")(some())
    assert seen[0] is threading.current_thread() and seen[1] is not threading.current_thread()

    def alarmed(texts):
        signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGALRM) or signal.SIG_DFL)
        return [1, 2, 3]

    assert numbers(adapt(alarmed, "mine", None)(some())) == [1, 2, 3]
    assert "signals need `time_limit` none" in message(alarmed)


def test_the_thread_has_the_context_of_the_caller() -> None:
    place = ContextVar("place", default=0)
    place.set(7)
    assert numbers(adapt(lambda texts: [place.get()] * 3, "mine")(some())) == [7, 7, 7]
