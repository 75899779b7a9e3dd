"""Phone, dark, Chinese; and what holds for all texts and scripts of the pages."""

import re
from pathlib import Path
from typing import Any

from tests.web.browser.acting import fits, press, question, ranked, sent, sign_in, until
from tests.web.browser.serving import FeedbackSession

WEB = Path(__file__).parents[3] / "src" / "plaudit" / "web"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def ask_everything(desk: FeedbackSession) -> None:
    long = desk.text("word " * 120 + "x" * 300)
    turns = [{"role": "user", "content": "Why? " * 20}]
    replies = [
        desk.text([{"role": "assistant", "content": text}], turns) for text in ("Because.", "So that. " * 30)
    ]
    desk.ask("comparison", [long, desk.text("short")], prompt="What is better? " * 20)
    desk.ask("comparison", replies)
    desk.ask_clips(1)
    desk.ask(
        "ranking",
        [desk.text(text) for text in ("one", "two", "three", "four" + " four" * 29)],
        prompt="Count.",
    )
    desk.ask("rating", [long], prompt="Say it.", scale={"criterion": "helpfulness", "low": 1, "high": 5})
    desk.ask("binary", [long], prompt="Say it.")


def test_a_phone(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    ask_everything(desk)
    page = browse(**PHONE)
    sign_in(page, desk.start())
    texts: list[str] = []
    for name, key in [
        ("texts", "1"),
        ("conversation", "="),
        ("clips", "2"),
        ("ranking", ""),
        ("rating", "3"),
        ("thumbs", "2"),
    ]:
        shown = question(page)
        fits(page)
        if name == "ranking":
            texts = page.locator(".option .text").all_text_contents()
            for place in (2, 0, 3, 1):
                page.locator(".option .place").nth(place).tap()
            fits(page)
            key = "Enter"
        shoot(page, f"phone-{name}")
        page.tap(f"#actions [data-key='{key}']")
        page.wait_for_function("shown => document.getElementById('stage').dataset.query !== shown", arg=shown)
    sent(page)
    assert len(desk.responses()) == 6
    assert ranked(desk, desk.responses()[3].feedback) == [{texts[place]} for place in (2, 0, 3, 1)]
    fits(page)
    shoot(page, "phone-no-question")


def test_clips_are_as_large_as_a_phone_allows(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    desk.ask_clips(1)
    desk.ask_clips(1, height=80)
    page = browse(**PHONE)
    sign_in(page, desk.start())

    def sizes() -> list[dict[str, float]]:
        page.wait_for_function("() => !document.querySelector('.screen .loading:not([hidden])')")
        return [canvas.bounding_box() for canvas in page.locator("canvas").all()]

    shown = question(page)
    one, two = sizes()
    assert one["width"] >= 165 and one["y"] == two["y"]  # square ones: side by side
    press(page, "1")
    question(page, shown)
    one, two = sizes()
    assert one["width"] >= 330 and one["x"] == two["x"]  # wide ones: one above the other, both in sight
    assert two["y"] + two["height"] < page.locator("#actions").bounding_box()["y"]
    fits(page)
    shoot(page, "phone-wide-clips")


def test_a_finger_drags_in_a_ranking(desk: FeedbackSession, browse: Any) -> None:
    desk.ask("ranking", [desk.text(text) for text in ("one", "two", "three")], prompt="Count.")
    page = browse(**PHONE)
    sign_in(page, desk.start())
    question(page)
    for place in (0, 1, 2):
        page.locator(".option .place").nth(place).tap()
    page.locator("[data-item='2']").scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    chip = page.locator("[data-item='2']").bounding_box()
    target = page.locator(".tier").first.bounding_box()
    touch = page.context.new_cdp_session(page)
    point = {"x": chip["x"] + 10, "y": chip["y"] + 10}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    for part in (0.3, 0.7, 1.0):
        height = point["y"] + part * (target["y"] + 2 - point["y"])
        touch.send(
            "Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": point["x"], "y": height}]}
        )
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(lambda: page.locator(".tier [data-item]").first.get_attribute("data-item") == "2")


def test_dark_by_the_system_and_by_the_switch(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    ask_everything(desk)
    page = browse(color_scheme="dark")
    sign_in(page, desk.start())
    question(page)
    assert darkness(page) < 60
    shoot(page, "dark-texts")
    press(page, "1")
    press(page, "1")
    question(page)
    shoot(page, "dark-clips")
    dimmed = "getComputedStyle(document.querySelector('canvas')).filter"
    assert page.evaluate(dimmed) == "brightness(0.78)"
    page.click("#theme")
    assert darkness(page) > 200 and page.evaluate(dimmed) == "none"
    page.reload()
    question(page)
    assert darkness(page) > 200  # remembered
    page.click("#theme")
    assert darkness(page) < 60


def darkness(page: Any) -> float:
    """The brightness of the paper, 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3]) / 3


def test_chinese_by_the_browser_and_by_the_switch(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    ask_everything(desk)
    page = browse(locale="zh-CN")
    sign_in(page, desk.start())
    question(page)
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert page.locator("#ask").text_content() == "哪个回答更好？"
    assert page.title().startswith("标注")
    shoot(page, "chinese")
    page.keyboard.press("?")
    shoot(page, "chinese-help")
    page.keyboard.press("Escape")
    page.dispatch_event("body", "keydown", {"key": "＝", "bubbles": True})  # as a Chinese keyboard writes it
    until(lambda: len(desk.responses()) == 1)
    page.click("#language")
    assert page.locator("#ask").text_content() == "Which answer is better?"
    page.goto(f"{desk.address}/run")
    page.wait_for_selector(".tile")
    assert page.locator("#nav a").first.text_content() == "Label"  # remembered
    page.click("#language")
    assert page.locator("[data-t='tile.labels.note']").text_content() == "共 6 个问题；跳过 0 个"
    shoot(page, "chinese-run")
    page.goto(f"{desk.address}/people")
    page.wait_for_selector("#people table")
    shoot(page, "chinese-people")


def test_numbers_plurals_and_the_steps_of_a_ranking(desk: FeedbackSession, browse: Any) -> None:
    page = browse()
    page.goto(desk.start().address + "/join")
    said = page.evaluate(
        """async () => {
          const words = await import("/static/words.js");
          const both = () => [1, 2, 12345].map((n) => words.t("answeredSoFar", { n }));
          const english = both();
          words.switchLanguage();
          return [...english, ...both()];
        }"""
    )
    assert said == [
        "You have answered 1 question.",
        "You have answered 2 questions.",
        "You have answered 12,345 questions.",
        "您已经回答了 1 个问题。",
        "您已经回答了 2 个问题。",
        "您已经回答了 12,345 个问题。",
    ]
    steps = page.evaluate(
        """async () => {
          const { stepped, between, tied, without } = await import("/static/ranks.js");
          const order = [[0], [1], [2]];
          return [stepped(order, 2, -1), stepped([[0], [1, 2]], 2, -1), stepped([[0, 1], [2]], 0, 1), stepped(order, 0, -1),
            stepped(order, 2, 1), stepped(order, 7, 1), between(order, 0, 3), between(order, 2, 0), tied(order, 2, 0),
            without([[0, 1], [2]], 2)];
        }"""
    )
    assert steps == [
        [[0], [1, 2]],
        [[0], [2], [1]],
        [[1], [0], [2]],
        [[0], [1], [2]],
        [[0], [1], [2]],
        [[0], [1], [2]],
        [[1], [2], [0]],
        [[2], [0], [1]],
        [[0, 2], [1]],
        [[0, 1]],
    ]


def keys(language: str) -> list[str]:
    text = (WEB / "static" / f"words-{language}.js").read_text(encoding="utf-8")
    return re.findall(r'^  "?([\w.]+)"?: ', text, re.MULTILINE)


def test_both_languages_have_the_same_texts_with_the_same_gaps() -> None:
    assert keys("en") == keys("zh")
    assert len(set(keys("en"))) == len(keys("en"))
    for key in re.findall(
        r'data-t(?:-\w+)?="([\w.]+)"', "".join(path.read_text() for path in (WEB / "templates").iterdir())
    ):
        assert key in keys("en"), key


def test_pages_hold_no_inline_code_and_scripts_write_no_html() -> None:
    for template in (WEB / "templates").glob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?://", text), (
            template.name
        )
    for script in (WEB / "static").glob("*.js"):
        text = script.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|https?://(?!www\.w3\.org)", text
        ), script.name
