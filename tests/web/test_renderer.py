"""Formatting in a process of its own: whatever the text, an answer comes in time, and the next text is served."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plaudit.errors import PlauditError
from plaudit.web import renderer as module
from plaudit.web.renderer import LARGEST, Renderer
from tests.web.hostile import HOSTILE

BOMBS = [
    "- a\n" * 25_000, "\\[" * 50_000, "**" * 20_000 + "a" + "**" * 20_000, "![" * 50_000, "[" * 50_000, "`a" * 50_000,
    ">" * 50_000, "|a" * 2000 + "|\n" + "|-" * 2000 + "|\n" + ("|a" * 2000 + "|\n") * 20, "$x^{2}$ " * 12_000,
    "".join(" " * i + "- a\n" for i in range(300)), "<" * LARGEST, "\u202e" * LARGEST, "$" + "{" * 3000 + "}" * 3000 + "$",
    "```perl\n" + "s/" * 40_000, "&#x41;" * 16_000, "\\begin{align}" * 7000,
]  # fmt: skip


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    made = Renderer()
    yield made
    made.close()


def test_nodes_of_each_text(renderer: Renderer) -> None:
    assert renderer.nodes(["*a*", "", "b"]) == [[["p", {}, ["em", {}, "a"]]], [], [["p", {}, "b"]]]
    assert renderer.nodes([]) == []


@pytest.mark.slow
def test_every_bomb_ends_in_time_and_the_next_text_is_served(renderer: Renderer) -> None:
    renderer.start()
    for bomb in BOMBS:
        began = time.monotonic()
        renderer.nodes([bomb])
        assert time.monotonic() - began < renderer.seconds + 10, bomb[
            :20
        ]  # a machine that is busy reads on late
        assert renderer.nodes(["a"]) == [[["p", {}, "a"]]]
    for text in HOSTILE:
        assert renderer.nodes([text]) is not None


def test_what_is_too_large_is_never_sent(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    assert renderer.nodes(["a" * (LARGEST + 1)]) is None
    assert renderer.nodes(["a" * 1000] * 101) is None


def test_what_takes_too_long_is_given_up_and_remembered() -> None:
    made = Renderer(seconds=0.01)
    made.start()
    try:
        assert made.nodes(["- a\n" * 20_000]) is None
        began = time.monotonic()
        assert made.nodes(["- a\n" * 20_000]) is None
        assert time.monotonic() - began < 1
        made.seconds = 30.0
        assert made.nodes(["a"]) == [[["p", {}, "a"]]]
    finally:
        made.close()


def test_a_process_that_was_killed_is_started_again(renderer: Renderer) -> None:
    renderer.start()
    first = renderer._process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert renderer.nodes(["a"]) == [[["p", {}, "a"]]]
    assert renderer._process is not None and renderer._process.pid != first.pid


def test_what_is_remembered_has_a_bound(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 300)
    for number in range(40):
        assert renderer.nodes([f"text {number}"]) == [[["p", {}, f"text {number}"]]]
    assert (
        0 < renderer._size == sum(len(asked) + len(reply) for asked, reply in renderer._known.items()) <= 300
    )


def test_a_process_that_does_not_start_is_an_error(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    assert renderer.nodes(["a"]) is None  # nobody waits for it, and it is tried again
    with pytest.raises(PlauditError, match=r"pip install 'plaudit\[web\]'"):
        renderer.start()


def test_it_ends_with_the_server() -> None:
    """A server that is killed leaves nothing behind."""
    code = (
        "import os, signal, sys; from plaudit.web.renderer import renderer; renderer().start();"
        "print(renderer()._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, timeout=120
    )
    pid = int(done.stdout)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("it is still there")


def test_the_process_loads_no_torch() -> None:
    code = "import sys, plaudit.web.rendered as r; r.rendered('`a` $x$'); print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, timeout=120
    )
    assert done.stdout.strip() == "False"
