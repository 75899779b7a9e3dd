"""Texts that want to be more than text, and texts that are too much, on the card."""

from typing import Any

import pytest

from tests.web.browser.acting import press, question, sign_in
from tests.web.browser.serving import FeedbackSession
from tests.web.hostile import HOSTILE

FORBIDDEN = """[...document.querySelectorAll("#question *")].filter((node) =>
  node.matches("img, script, iframe, svg, style, link, form, input, object, embed, base, meta, audio, video")
  || node.matches("[style], [id], [src], [srcdoc]")
  || [...node.attributes].some(({ name }) => name.startsWith("on"))
  || (node.hasAttribute("href") && !node.getAttribute("href").startsWith("https://"))).map((node) => node.outerHTML)"""
"""Nodes of a question that no text may make."""


def test_hostile_texts_are_shown_and_do_nothing(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    for text in HOSTILE:
        desk.ask("comparison", [desk.text(text), desk.text([{"role": text, "content": text}])], prompt=text)
    page = browse()
    page.on("dialog", lambda _: pytest.fail("a text ran"))
    page.add_init_script("window.alert = () => console.error('a text ran');")
    sign_in(page, desk.start())
    seen: set[str] = set()
    while seen != set(HOSTILE):  # some come twice, as people are asked again
        question(page)
        for _ in ("formatted", "raw"):
            assert page.evaluate(FORBIDDEN) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.keyboard.press("r")
        for link in page.locator("#question a").all():
            assert link.get_attribute("rel") == "noopener noreferrer"
        page.keyboard.press("r")
        (text,) = {page.locator(".prompt .said").text_content()} & set(HOSTILE)
        seen.add(text)
        page.keyboard.press("r")
        if text == HOSTILE[-2]:
            assert page.locator(".prompt .control").all_text_contents()[:2] == ["U+202E", "U+202C"]
            shoot(page, "text-hostile")
        press(page, "1")


def test_what_is_too_much_is_raw_and_says_so(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    huge = "**word** " * 120_000
    turns = [
        {"role": ("user", "assistant")[n % 2], "content": f"Turn **{n}**. " + "So. " * 9} for n in range(501)
    ]
    desk.ask("comparison", [desk.text(huge), desk.text("small")], prompt="Say *much*.")
    desk.ask(
        "comparison",
        [
            desk.text([{"role": "assistant", "content": "*a*"}], turns),
            desk.text([{"role": "assistant", "content": "b"}], turns),
        ],
    )
    page = browse()
    sign_in(page, desk.start())
    question(page)
    assert page.locator(".as-it-is").all_text_contents() == [
        "Too long or too intricate to be formatted: this is the raw text."
    ]
    assert page.locator(".option .text").evaluate_all(
        "(nodes, huge) => nodes.some((node) => node.textContent === huge)", huge
    )
    assert page.locator(".prompt em").count() == 1
    page.keyboard.press("r")
    assert page.locator(".as-it-is").count() == 0  # asked for, it needs no reason
    page.keyboard.press("r")
    shoot(page, "text-too-much")
    press(page, "1")
    question(page)
    assert page.locator(".prompt .bubble").count() == 501 and page.locator(".prompt strong").count() == 501
    assert page.locator(".prompt .bubble").last.is_visible()
    page.wait_for_function("() => document.querySelector('.prompt .scroll').scrollTop > 10000")
    press(page, "2")
