"""A kind of feedback is one file of the label page, `ask-<kind>.js`; the server says which there are."""

import re
from typing import Any

import pytest

from plaudit.feedback import KINDS
from plaudit.web.routes import pages
from tests.web.browser.acting import press, question, said, sign_in, until
from tests.web.browser.serving import FeedbackSession

ODD = """
import { askAtOnce, shown } from "./options.js";
export const words = {
  en: { "odd.ask": "Which one is odd?", "odd.first": "The first is odd", skip: "Not this one" },
  zh: { "odd.ask": "哪个奇怪？", "odd.first": "第一个奇怪" },
};
export const heading = { text: "odd.ask", clip: "odd.ask" };
export const help = { title: "odd.ask", rows: [["7 8", "odd.first"]] };
export function ask(scene) {
  const send = (answer) => scene.send({ kind: "comparison", options: shown(scene.task), answer });
  return askAtOnce(scene, [
    { key: "7", t: "odd.first", run: () => send("first") },
    { key: "s", t: "skip", tone: "quiet", run: () => send("skip") },
  ]);
}
"""
"""All that a kind brings, in the place of the file for comparisons."""


def test_one_file_is_all_that_a_kind_needs_on_the_page(desk: FeedbackSession, browse: Any) -> None:
    desk.ask_texts(1)
    page = browse()
    page.route(
        "**/static/ask-comparison.js", lambda route: route.fulfill(body=ODD, content_type="text/javascript")
    )
    sign_in(page, desk.start())
    question(page)
    assert page.locator("#ask").text_content() == "Which one is odd?"
    assert page.locator("[data-key='s'] span").text_content() == "Skip"  # the page's own words stay
    page.keyboard.press("?")
    section = page.locator("#help section", has_text="Which one is odd?")
    assert section.locator("kbd").all_text_contents() == ["7", "8"]
    assert section.locator("dd").text_content() == "The first is odd"
    page.keyboard.press("?")
    page.click("#language")
    assert page.locator("#ask").text_content() == "哪个奇怪？"
    assert page.locator("#help section h3").all_text_contents().count("哪个奇怪？") == 1
    press(page, "7")
    until(lambda: len(desk.responses()) == 1)
    assert said(desk, desk.responses()[0]) == "first"


def test_a_kind_without_a_file_says_so_and_makes_way(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    desk.ask_texts(1)
    page, served = browse(), desk.start()

    def without(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=re.sub(r'(data-kinds="[^"]*?) comparison', r"\1", answer.text()))

    page.route(f"{served.address}/", without)
    sign_in(page, served)
    shown = question(page)
    assert "ask-comparison.js" in page.locator("#question .missing").text_content()
    assert page.locator("#actions .answers button").count() == 0
    shoot(page, "kind-without-a-file")
    for key in ("1", "s", "u"):
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert page.get_attribute("#stage", "data-query") == shown and not desk.responses()
    desk.ask("binary", [desk.text("A good answer.")], prompt="Say it.")
    other = question(page, shown)
    page.keyboard.press("1")
    assert question(page, other) == shown  # what is left
    until(lambda: len(desk.responses()) == 1)


def test_the_page_is_told_of_every_kind_that_has_a_file(
    monkeypatch: pytest.MonkeyPatch, desk: FeedbackSession, browse: Any
) -> None:
    assert pages.askable() == sorted(KINDS)
    monkeypatch.setitem(KINDS, "odd", KINDS["binary"])
    assert "odd" not in pages.askable()
    page = browse()
    sign_in(page, desk.start())
    assert page.get_attribute("#stage", "data-kinds") == "binary comparison ranking rating"
    preloaded = page.locator("link[rel=modulepreload]").evaluate_all(
        "nodes => nodes.map((node) => node.href)"
    )
    assert preloaded == [f"{desk.address}/static/ask-{kind}.js" for kind in pages.askable() if kind != "odd"]


def test_what_the_kinds_say_is_there_in_both_languages(desk: FeedbackSession, browse: Any) -> None:
    page = browse()
    page.goto(desk.start().address + "/join")
    missing = page.evaluate(
        """async (kinds) => {
          const { EN } = await import("/static/words-en.js");
          const { ZH } = await import("/static/words-zh.js");
          const missing = [];
          for (const name of kinds) {
            const { heading, help, words } = await import(`/static/ask-${name}.js`);
            const said = [heading.text, heading.clip, ...(help ? [help.title, ...help.rows.map(([, word]) => word)] : [])];
            missing.push(...said.filter((key) => !(key in { ...EN, ...words?.en }) || !(key in { ...ZH, ...words?.zh })));
          }
          return missing;
        }""",
        sorted(KINDS),
    )
    assert missing == []
