"""The pages of whoever runs it: the run live, people, links; and coming in."""

import json
import math
from typing import Any

from tests.web.browser.acting import fits, press, question, sign_in, until
from tests.web.browser.conftest import NETWORK, SIGNED_OUT, Watch
from tests.web.browser.serving import FeedbackSession


def learn(desk: FeedbackSession, updates: range) -> None:
    """Write what a trainer would."""
    with (desk.folder / "metrics.jsonl").open("a") as file:
        for update in updates:
            row = {
                "update": update,
                "timesteps": 1000 * update,
                "feedback/labels": 20 * update,
                "reward/held_out_accuracy": 0.5 + 0.4 * (1 - math.exp(-update / 8)),
                "eval/return_mean": -1300 + 1100 * (1 - math.exp(-update / 8)),
                "objective/kl": 0.02 * update,
            }
            file.write(json.dumps(row) + "\n")


def status(desk: FeedbackSession, now: str) -> None:
    (desk.folder / "manifest.json").write_text(json.dumps({"stage": "run", "status": now}))


def tile(page: Any, name: str) -> str:
    return page.locator(f".tile:has([data-t='{name}']) b").text_content()


def value(page: Any, name: str) -> str:
    return page.locator(f"figure:has([data-t='chart.{name}']) .now").text_content()


def test_the_run_page_is_live(desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any) -> None:
    watch.expected.append(NETWORK)
    desk.ask_texts(5)
    (desk.folder / "config.yaml").write_text("environment: Pendulum-v1\nsteps: 40000\n")
    learn(desk, range(1, 20))
    page = browse()
    sign_in(page, desk.start())
    press(page, "1")
    page.click("#nav a[href='/run']")
    page.wait_for_selector(".chart svg")
    until(lambda: tile(page, "tile.labels") == "1")
    assert tile(page, "tile.sides") == "1 of 1"  # of so few no share
    before = value(page, "return")
    assert before == "-302.3" and value(page, "accuracy") == "86%" and value(page, "kl") == "0.38"
    assert "of 40,000 steps" in page.locator("#progress p").text_content()
    box = page.locator(".plot").first.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 60)
    assert page.locator(".tip:not([hidden]) b").text_content().startswith("-")
    page.keyboard.press("Tab")
    shoot(page, "run")
    learn(desk, range(20, 30))
    until(lambda: value(page, "return") != before)
    page.mouse.move(0, 0)
    page.locator(".plot").first.focus()
    page.keyboard.press("ArrowLeft")
    assert "29,000" in page.locator(".tip:not([hidden])").text_content()
    desk.kill()
    page.wait_for_function("() => !document.getElementById('trouble').hidden")
    assert page.locator("[data-kind='pause']").is_disabled()
    shoot(page, "run-connection-lost")
    desk.start()
    page.wait_for_function("() => document.getElementById('trouble').hidden")
    learn(desk, range(30, 40))
    until(lambda: value(page, "kl") == "0.78")


def test_the_run_is_controlled_from_its_page(
    desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any
) -> None:
    watch.expected.append(NETWORK)
    page = browse()
    sign_in(page, desk.start())
    page.goto(f"{desk.address}/run")
    page.click("[data-kind='pause']")
    page.wait_for_selector(".pill.paused")
    shoot(page, "run-paused")
    page.click("[data-kind='start']")
    page.wait_for_selector(".pill.running")
    page.click("[data-kind='stop']")
    page.keyboard.press("Escape")  # not after all
    assert [command.kind for command in desk.database.store.commands()] == ["pause", "start"]
    page.locator("[data-kind='stop']").focus()
    page.keyboard.press("Enter")
    shoot(page, "run-stop")
    page.click("dialog [data-t='stop']")
    page.wait_for_function("() => !document.getElementById('wish').hidden")
    assert [command.kind for command in desk.database.store.commands()] == ["pause", "start", "stop"]
    status(desk, "stopped")
    page.wait_for_selector(".pill.stopped")
    page.click("[data-kind='start']")
    page.wait_for_selector(".toast.bad")
    assert "plaudit resume" in page.locator(".toast.bad").text_content()


def test_people_are_invited_and_let_go(desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any) -> None:
    watch.expected += [NETWORK, SIGNED_OUT]
    desk.ask_texts(4)
    page = browse()
    sign_in(page, desk.start())
    page.goto(f"{desk.address}/people")
    page.get_by_label("Role").select_option("annotator")
    page.get_by_label("Name").fill("<b>Ada</b>")
    page.get_by_role("button", name="Make a link").click()
    page.wait_for_selector("#link:not([hidden])")
    link = page.input_value("#link-text")
    page.click("#copy")
    page.wait_for_function("() => document.getElementById('copy').dataset.t === 'copied'")
    shoot(page, "people")
    ada = browse()
    sign_in(ada, desk, link)
    assert ada.locator("#person").text_content() == "<b>Ada</b>"
    assert not ada.locator("#nav").is_visible()
    press(ada, "1")
    until(lambda: len(desk.responses()) == 1)
    page.reload()
    row = page.locator("#people tr", has_text="<b>Ada</b>")
    assert row.locator(".number").text_content() == "1"
    row.get_by_role("button", name="Revoke").click()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#people tr.gone")
    ada.wait_for_function("() => !document.getElementById('signed-out').hidden")
    ada.goto(link)
    ada.wait_for_function(
        "() => document.getElementById('join-error').textContent || !document.querySelector('#join[hidden]')"
    )
    if not ada.locator("#join-error").text_content():
        ada.click("#join button")
    ada.wait_for_function("() => document.getElementById('join-error').dataset.t === 'linkGone'")
    shoot(ada, "link-used")


def test_a_link_asks_for_a_name_and_keeps_its_token_to_itself(
    desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any
) -> None:
    watch.expected.append(NETWORK)
    desk.start()
    desk.database.people.join(desk.database.people.invite("annotator", "Ada")[1], None)
    token = desk.database.people.invite("annotator", None)[1]
    page = browse()
    page.goto(f"{desk.address}/join#{token}")
    page.wait_for_selector("#join:not([hidden])")
    assert token not in page.url
    shoot(page, "join")
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('join-error').dataset.t === 'nameTaken'")
    page.fill("#name", "Bo")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('person')?.textContent === 'Bo'")
    page.goto(f"{desk.address}/join")
    page.wait_for_function("() => document.getElementById('join-text').dataset.t === 'noToken'")


def test_links_with_a_name_sign_in_at_once(
    desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any
) -> None:
    watch.expected += [NETWORK, SIGNED_OUT]
    desk.start()
    page = browse()
    page.goto(desk.link)
    page.wait_for_function("() => document.getElementById('person')?.textContent")  # nobody typed a name
    mine = page.locator("#person").text_content()
    desk.close_server()
    page.goto(desk.start().link)  # another link for the same person asks nothing
    page.wait_for_url(f"{desk.address}/")
    ada = desk.database.people.invite("annotator", "Ada")[1]
    page.goto(f"{desk.address}/join?named#{ada}")
    page.wait_for_selector("#other:not([hidden])")
    assert str(mine) in page.locator("#join-text").text_content()
    assert not page.locator("#join").is_visible()
    shoot(page, "join-signed-in")
    page.click("#change")
    page.wait_for_function("() => document.getElementById('person')?.textContent === 'Ada'")
    page.goto(f"{desk.address}/join?named#{ada}")
    page.click("#change")
    page.wait_for_function("() => document.getElementById('join-error').dataset.t === 'linkGone'")
    assert not page.locator("#join").is_visible() and not page.locator("#other").is_visible()


def test_signing_out_gives_questions_back(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    desk.ask_texts(3)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    until(lambda: desk.database.queue.waiting()[1] == 3)
    page.click("#menu summary")
    shoot(page, "menu")
    page.click("#leave")
    page.click("dialog [data-t='leave']")
    page.wait_for_function("() => !document.getElementById('signed-out').hidden")
    assert desk.database.queue.waiting()[1] == 0


def test_pages_of_others_are_refused_in_words(
    desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any
) -> None:
    watch.expected += [NETWORK, SIGNED_OUT]
    desk.start()
    page = browse()
    token = desk.database.people.invite("annotator", "Ada")[1]
    sign_in(page, desk, f"{desk.address}/join#{token}")
    page.goto(f"{desk.address}/run")
    assert page.get_attribute("#main", "data-status") == "403"
    shoot(page, "forbidden")
    page.click("#main a")
    page.wait_for_selector("#empty")


def test_the_pages_of_whoever_runs_it_on_a_phone(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    learn(desk, range(1, 20))
    page = browse(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    desk.start()
    page.goto(f"{desk.address}/join#{desk.database.people.invite('admin', None)[1]}")
    page.wait_for_selector("#join:not([hidden])")
    fits(page)
    shoot(page, "phone-join")
    sign_in(page, desk)
    page.tap("#nav a[href='/run']")
    page.wait_for_selector(".chart svg")
    fits(page)
    shoot(page, "phone-run")
    page.tap("#nav a[href='/people']")
    page.wait_for_selector("#people table")
    page.tap("#invite button")
    page.wait_for_selector("#link:not([hidden])")
    fits(page)
    shoot(page, "phone-people")
