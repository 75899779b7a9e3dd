"""What a person does on the label page, and what they see there."""

import json
import time
from collections.abc import Callable
from typing import Any

from tests.web.browser.serving import FeedbackSession

GUARD = 400
"""Milliseconds in which a new question takes no answer."""


def sign_in(page: Any, desk: FeedbackSession, link: str | None = None, name: str = "") -> None:
    """Use a link; the name is typed where the page asks for one."""
    page.goto(link or desk.link)
    page.wait_for_function(
        "() => document.querySelector('#join:not([hidden])') || !document.querySelector('#join')"
    )
    if page.locator("#join").is_visible():
        page.fill("#name", name)
        page.click("#join button")
    page.wait_for_url(f"{desk.address}/")
    page.wait_for_function("() => document.getElementById('person').textContent")


def question(page: Any, besides: str | None = None) -> str:
    """Wait for a question (another one than `besides`) that takes an answer; its id."""
    page.wait_for_function(
        "besides => { const id = document.getElementById('stage').dataset.query; return id && id !== besides; }",
        arg=besides,
    )
    page.wait_for_timeout(GUARD)
    return page.get_attribute("#stage", "data-query")


def press(page: Any, key: str) -> str:
    """Answer the question on screen with a key; its id."""
    shown = question(page)
    page.keyboard.press(key)
    page.wait_for_function(
        "shown => document.getElementById('stage').dataset.query !== shown "
        "|| document.getElementById('stage').dataset.fixing === 'true'",
        arg=shown,
    )
    return shown


def sent(page: Any) -> None:
    """Wait until nothing waits to be sent any more."""
    page.wait_for_function("() => document.getElementById('badge').dataset.waiting === '0'")


def said(desk: FeedbackSession, response: Any) -> str:
    """A stored comparison's answer by the sides that were on the screen, however the store keeps it."""
    items = desk.database.store.queries([response.query_id])[0].items
    sides = tuple(items[place] for place in response.shown_order)
    answer = response.feedback.answer
    if answer not in ("first", "second"):
        return answer
    chosen = response.feedback.options[("first", "second").index(answer)]
    return ("first", "second")[sides.index(chosen)]


def ranked(desk: FeedbackSession, feedback: Any) -> list[set[str]]:
    """The texts of a stored ranking, best first."""
    texts = [json.loads(desk.artifacts.get(option))["completion"] for option in feedback.options]
    return [{texts[place] for place in tier} for tier in feedback.order]


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something outside the browser."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def fits(page: Any) -> None:
    """Nothing sticks out sideways, and what is to be touched is large enough."""
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], f"the page is {wide[0]} px wide on a screen of {wide[1]}"
    small = page.evaluate(
        """[...document.querySelectorAll("button, a:not(.rich a), summary")].filter((node) => {
          const { width, height } = node.getBoundingClientRect();
          return width && (height < 35 || width < 35);
        }).map((node) => node.outerHTML)"""
    )
    assert not small, small
