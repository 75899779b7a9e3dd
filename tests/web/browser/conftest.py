"""A real browser on a real server; everything the pages may never do is watched on every page."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.web.browser.serving import FeedbackSession

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOTS = "PLAUDIT_SCREENSHOTS"
"""Where to put screenshots, for people to look at; otherwise they lie in the test's own folder."""
LOOPBACK = re.compile(r"^(http://127\.0\.0\.1:\d+/|blob:http://127\.0\.0\.1:\d+/|data:)")
NETWORK = re.compile(
    r"Failed to load resource: (net::ERR_|the server responded with a status of (50[037]|409))"
)
SIGNED_OUT = re.compile(r"status of 4(01|03|10)")
ORDINARY = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"}
WATCH_CSP = """
addEventListener("securitypolicyviolation", (event) => console.error("CSP " + event.violatedDirective));
"""

QUICK = ("test_pairs_of_texts_by_keyboard", "test_ratings_and_thumbs")
"""What is seen of the pages at the desk; a browser takes seconds for each test, and CI runs them all."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that stand here are slow, but a few."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.name.split("[")[0] not in QUICK:
            item.add_marker(pytest.mark.slow)


@dataclass
class Watch:
    """What the pages of a test did wrong."""

    faults: list[str] = field(default_factory=list)
    expected: list[re.Pattern[str]] = field(default_factory=list)
    """What the browser itself writes to the console when a test takes the network or the session away."""

    def console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.fault(f"console: {message.text}")

    def fault(self, text: str) -> None:
        if not any(pattern.search(text) for pattern in self.expected):
            self.faults.append(text)

    def request(self, request: Any) -> None:
        if not LOOPBACK.match(request.url):
            self.faults.append(f"request to {request.url}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is missing")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FeedbackSession]:
    """An empty run folder; a test asks its questions, then starts the server."""
    desk = FeedbackSession(tmp_path / "pendulum")
    yield desk
    desk.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test for console errors, page errors, CSP violations and requests to elsewhere."""
    watch = Watch()
    yield watch
    assert not watch.faults


@pytest.fixture
def browse(chromium: Any, watch: Watch) -> Iterator[Callable[..., Any]]:
    """Opens a browser of its own (cookies, stores), and gives its first page."""
    contexts = []

    def open_browser(**options: Any) -> Any:
        context = chromium.new_context(**{**ORDINARY, **options})
        contexts.append(context)
        context.add_init_script(WATCH_CSP)
        context.set_default_timeout(60_000)
        context.on("request", watch.request)
        context.on("console", watch.console)
        context.on("weberror", lambda error: watch.fault(f"page: {error.error}"))
        return context.new_page()

    yield open_browser
    for context in contexts:
        context.close()


@pytest.fixture
def shoot(tmp_path: Path) -> Callable[[Any, str], None]:
    """Takes a screenshot."""
    folder = Path(os.environ.get(SHOTS) or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)

    def take(page: Any, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", animations="disabled")

    return take
