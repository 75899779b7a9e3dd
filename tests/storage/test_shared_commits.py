"""Threads that write to one SQLite file at once share a commit, and nothing else."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from plaudit.errors import PlauditError
from plaudit.storage.opening import open_engine
from plaudit.storage.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Transactions on a file with a table of numbers."""
    session = Session(*open_engine(tmp_path / "feedback.db"))
    session.write(lambda c: c.execute(text("CREATE TABLE numbers (n INTEGER UNIQUE)")))
    yield session
    session.engine.dispose()


def _insert(n: int) -> Callable[[Connection], int]:
    def action(connection: Connection) -> int:
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": n})
        return n

    return action


def _then_raise(n: int, error: BaseException) -> Callable[[Connection], int]:
    def action(connection: Connection) -> int:
        _insert(n)(connection)
        raise error

    return action


def _at_once(session: Session, actions: list[Callable[[Connection], Any]]) -> list[Any]:
    """Start all while a first write holds the turn; what each gave or raised."""
    started, go = threading.Event(), threading.Event()

    def holding(connection: Connection) -> str:
        started.set()
        assert go.wait(20)
        return "held"

    results: list[Any] = [None] * (len(actions) + 1)

    def run(place: int, action: Callable[[Connection], Any]) -> None:
        try:
            results[place] = session.write(action)
        except BaseException as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(0, holding))]
    threads[0].start()
    assert started.wait(20)
    for place, action in enumerate(actions, 1):
        threads.append(threading.Thread(target=run, args=(place, action)))
        threads[-1].start()
        while len(session._writers._waiting) <= place:  # each in its place in the queue
            threading.Event().wait(0.001)
    go.set()
    for thread in threads:
        thread.join(60)
    return results[1:]


def _numbers(session: Session) -> list[int]:
    return session.read(lambda c: list(c.execute(text("SELECT n FROM numbers ORDER BY rowid")).scalars()))


def test_those_who_wait_share_one_commit_in_the_order_they_came(session: Session) -> None:
    commits = []
    event.listen(session.engine, "commit", lambda connection: commits.append(connection))
    assert _at_once(session, [_insert(n) for n in (5, 3, 9, 1)]) == [5, 3, 9, 1]
    assert len(commits) == 2
    assert _numbers(session) == [5, 3, 9, 1]


def test_a_refusal_undoes_its_own_write_only(session: Session) -> None:
    refusal = PlauditError("no")
    assert _at_once(session, [_insert(1), _then_raise(2, refusal), _insert(3)]) == [1, refusal, 3]
    assert _numbers(session) == [1, 3]


def test_an_error_of_the_database_or_the_program_reaches_only_its_own_thread(session: Session) -> None:
    bug = ZeroDivisionError()
    broken = [_insert(1), lambda c: c.execute(text("SELECT * FROM nowhere")), _then_raise(2, bug), _insert(3)]
    first, second, third, fourth = _at_once(session, broken)
    assert (first, third, fourth) == (1, bug, 3)
    assert isinstance(second, PlauditError) and "nowhere" in str(second)
    assert _numbers(session) == [1, 3]


def test_an_interrupted_leader_hands_over(session: Session) -> None:
    results = _at_once(session, [_then_raise(1, KeyboardInterrupt()), _insert(2), _insert(3)])
    assert isinstance(results[0], KeyboardInterrupt)
    assert results[1:] == [2, 3]
    assert session.write(_insert(4)) == 4
    assert _numbers(session) == [2, 3, 4]


def test_who_wakes_late_takes_nothing_from_whoever_leads_by_then(session: Session) -> None:
    """The first serves the second, who wakes only once the third has served itself and while the fourth waits."""
    queue, answers, threads = session._writers, {}, []
    held = {n: (threading.Event(), threading.Event()) for n in (0, 1, 3)}
    settled, woken = threading.Event(), threading.Event()
    original = queue._hand_over

    def start(n: int) -> None:
        def action(connection: Connection) -> int:
            if n in held:
                held[n][0].set()
                assert held[n][1].wait(20)
            return n

        action.n = n  # type: ignore[attr-defined]
        threads.append(
            threading.Thread(target=lambda: answers.update({n: session.write(action)}), daemon=True)
        )
        before = len(queue._waiting)
        threads[-1].start()
        while len(queue._waiting) <= before:
            time.sleep(0.001)

    def hand_over(job: Any) -> None:
        if job.action.n == 2:
            assert settled.wait(20)
        if job.action.n == 3:
            settled.set()
            assert woken.wait(20)
        original(job)
        if job.action.n == 2:
            woken.set()

    queue._hand_over = hand_over
    start(0)
    assert held[0][0].wait(20)  # leads
    start(1), start(2)
    held[0][1].set()
    assert held[1][0].wait(20)  # leads, for both
    start(3)
    held[1][1].set()
    assert held[3][0].wait(20)  # leads
    start(4)
    held[3][1].set()
    for thread in threads:
        thread.join(20)
    assert answers == {n: n for n in range(5)}
