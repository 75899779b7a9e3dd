"""No answer is lost: offline, a dead server, a reload, two tabs, a session that ends, a full disk."""

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.web.browser.acting import press, question, ranked, said, sent, sign_in, until
from tests.web.browser.conftest import NETWORK, SIGNED_OUT, Watch
from tests.web.browser.serving import FeedbackSession


def waits(page: Any, count: int) -> None:
    """The badge says so."""
    page.wait_for_function(
        "count => { const badge = document.getElementById('badge');"
        " return badge.dataset.waiting === count && badge.textContent.startsWith(`${count} `) && !badge.hidden; }",
        arg=str(count),
    )


def test_offline_and_back(desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any) -> None:
    watch.expected.append(NETWORK)
    desk.ask_texts(2)
    desk.ask_clips(1)
    desk.ask_texts(2)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    page.wait_for_timeout(1000)  # three are at hand, with their pictures
    page.context.set_offline(True)
    answered = [press(page, "1"), press(page, "2")]
    question(page)
    page.wait_for_function("() => document.querySelectorAll('.screen .loading:not([hidden])').length === 0")
    page.keyboard.press("=")
    page.wait_for_function("() => document.getElementById('empty').dataset.supply === 'unreachable'")
    waits(page, 3)
    shoot(page, "offline")
    page.keyboard.press("u")  # also without a network
    page.keyboard.press("u")
    assert question(page) == answered[1]
    page.keyboard.press("1")
    waits(page, 4)
    assert not desk.responses()
    page.context.set_offline(False)
    sent(page)
    assert not page.locator("#badge").is_visible()
    assert not page.locator("#trouble").is_visible()
    assert [said(desk, each) for each in desk.responses()] == [
        "first",
        "second",
        "equal",
        "first",
    ]
    assert len(desk.standing()) == 3
    press(page, "2")
    press(page, "2")
    until(lambda: len(desk.responses()) == 6)


def test_without_a_network_the_page_tries_less_and_less_often(
    desk: FeedbackSession, browse: Any, watch: Watch
) -> None:
    """No storm of requests: the pauses grow."""
    watch.expected.append(NETWORK)
    desk.ask_texts(4)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    page.wait_for_timeout(1000)
    tried: dict[str, list[float]] = {}
    page.on(
        "request", lambda asked: tried.setdefault(asked.url.rpartition("/")[2], []).append(time.monotonic())
    )
    page.context.set_offline(True)
    for _ in range(3):
        press(page, "1")
    page.wait_for_timeout(12_000)
    answers = tried["answers"]
    pauses = [later - earlier for earlier, later in pairwise(answers)]
    assert 3 <= len(answers) <= 6 and pauses[-1] > 1.5 * pauses[0]
    assert sum(map(len, tried.values())) <= 20
    page.context.set_offline(False)
    sent(page)
    assert len(desk.standing()) == 3


def test_a_dead_server_and_a_reload(desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any) -> None:
    watch.expected.append(NETWORK)
    desk.ask_texts(4)
    page = browse()
    page.on("dialog", lambda dialog: dialog.accept())  # leaving with answers unsent
    sign_in(page, desk.start())
    question(page)
    desk.kill()
    press(page, "1")
    press(page, "2")
    waits(page, 2)
    shoot(page, "server-gone")
    desk.start()
    page.reload()  # what waits is sent by the page that comes next
    press(page, "=")
    sent(page)
    assert [said(desk, each) for each in desk.responses()] == ["first", "second", "equal"]
    assert len({response.query_id for response in desk.responses()}) == 3
    assert page.locator("#answered").text_content() == "3 answered"
    desk.kill()
    press(page, "0")
    desk.start()
    sent(page)  # and without a reload, by itself
    assert len(desk.responses()) == 4


def test_leaving_is_only_questioned_while_answers_wait(
    desk: FeedbackSession, browse: Any, watch: Watch
) -> None:
    watch.expected.append(NETWORK)
    desk.ask_texts(2)
    page = browse()
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    sign_in(page, desk.start())
    press(page, "1")
    sent(page)
    page.reload()
    question(page)
    assert not asked
    page.context.set_offline(True)
    press(page, "1")
    waits(page, 1)
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]


def test_a_reload_in_mid_answer_restores_it(desk: FeedbackSession, browse: Any) -> None:
    desk.ask("ranking", [desk.text(text) for text in ("one", "two", "three")], prompt="Count.")
    desk.ask_texts(1)
    page = browse()
    sign_in(page, desk.start())
    shown = question(page)
    page.keyboard.press("2")
    page.keyboard.press("3")
    texts = page.locator(".option .text").all_text_contents()
    page.wait_for_timeout(2200)
    page.reload()
    assert question(page) == shown
    chips = page.locator(".tier [data-item]").evaluate_all("nodes => nodes.map((node) => node.dataset.item)")
    assert chips == ["1", "2"]
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    press(page, "1")
    sent(page)
    first, second = desk.responses()
    assert ranked(desk, first.feedback) == [{texts[1]}, {texts[2]}, {texts[0]}]
    assert first.active_ms > 2200  # from before the reload too
    page.keyboard.press("u")
    fixing = question(page)
    page.reload()  # in the middle of a correction
    assert question(page) == fixing
    assert page.get_attribute("#stage", "data-fixing") == "true"
    page.keyboard.press("2")
    until(lambda: len(desk.responses()) == 3)
    assert desk.responses()[-1].supersedes == second.id


def test_two_tabs_share_the_work(desk: FeedbackSession, browse: Any) -> None:
    desk.ask_texts(8)
    one = browse()
    sign_in(one, desk.start())
    first = question(one)
    two = one.context.new_page()
    two.goto(desk.address)
    assert question(two) != first
    for _ in range(4):
        press(one, "1")
        press(two, "2")
    sent(one)
    until(lambda: len(desk.responses()) == 8)
    assert len({response.query_id for response in desk.responses()}) == 8
    assert not one.locator(".toast").count() and not two.locator(".toast").count()


def test_a_session_that_ends_keeps_the_answers(
    desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any
) -> None:
    watch.expected += [NETWORK, SIGNED_OUT]
    desk.ask_texts(5)
    desk.start()
    ada, token = invited(desk, "Ada")
    page = browse()
    sign_in(page, desk, f"{desk.address}/join#{token}")
    question(page)
    page.context.set_offline(True)
    press(page, "1")
    waits(page, 1)
    sign_out(desk, ada)
    page.context.set_offline(False)
    page.wait_for_function("() => !document.getElementById('signed-out').hidden")
    waits(page, 1)
    shoot(page, "signed-out")
    page.goto(desk.address)
    assert page.locator("#main").get_attribute("data-status") == "401"
    shoot(page, "needs-a-link")
    assert not desk.responses()


def sign_out(desk: FeedbackSession, person_id: int) -> None:
    """An admin does, with the link that the terminal showed."""
    with httpx2.Client(base_url=desk.address) as http:
        http.post("/api/join", json={"token": desk.link.rpartition("#")[2]}).raise_for_status()
        headers = {"X-Plaudit-CSRF": http.get("/api/me").json()["csrf"]}
        http.post(f"/api/people/{person_id}/revoke", json={}, headers=headers).raise_for_status()


def invited(desk: FeedbackSession, name: str) -> tuple[int, str]:
    """Somebody who has used a link, and another link for them."""
    people = desk.database.people
    person, _ = people.join(people.invite("annotator", name)[1], None)
    return person.id, people.invite_again(person.id)[1]


def test_answers_wait_for_their_own_person(desk: FeedbackSession, browse: Any, watch: Watch) -> None:
    watch.expected += [NETWORK, SIGNED_OUT]
    desk.ask_texts(6)
    desk.start()
    page = browse()
    page.on("dialog", lambda dialog: dialog.accept())
    ada, token = invited(desk, "Ada")
    sign_in(page, desk, f"{desk.address}/join#{token}")
    question(page)
    page.context.set_offline(True)
    press(page, "1")
    waits(page, 1)
    page.context.clear_cookies()
    page.context.set_offline(False)
    page.wait_for_function("() => !document.getElementById('signed-out').hidden")
    _, other = invited(desk, "Bo")
    sign_in(page, desk, f"{desk.address}/join#{other}")
    press(page, "2")
    until(lambda: len(desk.responses()) == 1)
    assert desk.responses()[0].annotator == "Bo"  # Ada's answer is not sent in Bo's name
    page.context.clear_cookies()
    sign_in(page, desk, f"{desk.address}/join#{desk.database.people.invite_again(ada)[1]}")
    until(lambda: len(desk.responses()) == 2)
    assert desk.responses()[1].annotator == "Ada"


def test_answers_wait_for_their_own_run(
    desk: FeedbackSession, browse: Any, watch: Watch, tmp_path: Path
) -> None:
    """Another run at the same port: its first person has the same number, its questions have too."""
    watch.expected += [NETWORK, SIGNED_OUT]
    desk.ask_texts(3)
    page = browse()
    page.on("dialog", lambda dialog: dialog.accept())
    sign_in(page, desk.start())
    question(page)
    desk.kill()
    press(page, "1")
    waits(page, 1)
    port = int(desk.address.rpartition(":")[2])
    other = FeedbackSession(tmp_path / "elsewhere" / desk.folder.name)  # and the same name
    other.ask_texts(3)
    try:
        sign_in(page, other.start(port))
        question(page)
        assert not page.locator("#badge").is_visible()
        press(page, "2")
        until(lambda: len(other.responses()) == 1)
        sent(page)
        assert said(other, other.responses()[0]) == "second"
    finally:
        other.close()
    sign_in(page, desk.start(port))
    until(lambda: len(desk.responses()) == 1)
    assert said(desk, desk.responses()[0]) == "first"


def test_a_full_disk_is_told_and_the_answer_kept(
    desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any
) -> None:
    watch.expected.append(NETWORK)
    desk.ask_texts(2)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    full = {"error": "disk_full", "message": "No room."}
    page.route("**/api/answers", lambda route: route.fulfill(status=507, json=full))
    press(page, "1")
    waits(page, 1)
    assert "disk is full" in page.locator("#trouble").text_content()
    shoot(page, "disk-full")
    page.unroute("**/api/answers")
    page.click("#badge")  # send now
    until(lambda: len(desk.responses()) == 1)
    sent(page)


def test_a_refused_answer_is_dropped_with_a_message(
    desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any
) -> None:
    watch.expected.append(NETWORK)
    desk.ask_texts(2)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    gone = {"error": "conflict", "message": "The lease went to somebody else."}
    page.route("**/api/answers", lambda route: route.fulfill(status=409, json=gone))
    press(page, "1")
    page.wait_for_selector(".toast.bad")
    assert gone["message"] in page.locator(".toast.bad").text_content()
    shoot(page, "refused")
    sent(page)
    page.click(".toast button")
    assert page.locator("[data-key=u]").is_disabled()


def test_a_lost_reply_is_sent_again_and_counts_once(desk: FeedbackSession, browse: Any, watch: Watch) -> None:
    watch.expected.append(NETWORK)
    desk.ask_texts(2)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    lost = []

    def lose(route: Any) -> None:
        if lost:
            return route.continue_()
        lost.append(route.fetch().status)  # it arrives, its receipt does not
        return route.abort()

    page.route("**/api/answers", lose)
    press(page, "1")
    sent(page)
    assert lost == [200] and len(desk.responses()) == 1


@pytest.mark.parametrize("kept_in", ["localStorage", "memory"])
def test_browsers_without_a_database(desk: FeedbackSession, browse: Any, watch: Watch, kept_in: str) -> None:
    watch.expected.append(NETWORK)
    desk.ask_texts(3)
    page = browse()
    script = "Object.defineProperty(window, 'indexedDB', { get() { throw new Error('none'); } });"
    if kept_in == "memory":
        script += "Object.defineProperty(window, 'localStorage', { get() { throw new Error('none'); } });"
    page.context.add_init_script(script)
    page.on("dialog", lambda dialog: dialog.accept())
    sign_in(page, desk.start())
    question(page)
    assert page.locator("#warning").is_visible() == (kept_in == "memory")
    page.context.set_offline(True)
    press(page, "1")
    waits(page, 1)
    page.context.set_offline(False)
    until(lambda: len(desk.responses()) == 1)
    press(page, "2")
    until(lambda: len(desk.responses()) == 2)


def test_receipts_can_be_downloaded(desk: FeedbackSession, browse: Any, tmp_path: Path) -> None:
    desk.ask_texts(3)
    page = browse()
    sign_in(page, desk.start())
    for _ in range(3):
        press(page, "1")
    sent(page)
    page.click("#menu summary")
    with page.expect_download() as waiting:
        page.click("#receipts")
    waiting.value.save_as(tmp_path / "receipts.jsonl")
    lines = (tmp_path / "receipts.jsonl").read_text().splitlines()
    receipts = [json.loads(line) for line in lines]
    stored = {response.client_uuid: response for response in desk.responses()}
    assert {receipt["client_uuid"] for receipt in receipts} == set(stored)
    assert all(receipt["seq"] == stored[receipt["client_uuid"]].seq for receipt in receipts)
    assert set(receipts[0]) == {"client_uuid", "response_id", "seq", "sha256"}


def test_every_answer_is_counted_once(desk: FeedbackSession, browse: Any, watch: Watch) -> None:
    watch.expected.append(NETWORK)
    desk.ask_texts(6)
    page = browse()
    page.on("dialog", lambda dialog: dialog.accept())
    sign_in(page, desk.start())
    question(page)
    stored: list[Any] = []

    def lose(route: Any) -> None:
        """The server stores what is sent, and its reply gets lost."""
        if route.request.method == "POST":
            stored.append(route.fetch())
            return route.abort()
        return route.continue_()

    page.route("**/api/answers", lose)
    press(page, "1")
    while not stored:
        page.wait_for_timeout(50)
    page.reload()
    question(page)
    page.unroute("**/api/answers")
    page.evaluate("dispatchEvent(new Event('online'))")
    sent(page)
    wait_for_text(page, "1 answered")
    other = page.context.new_page()
    other.goto(f"{desk.address}/")
    press(other, "1")
    press(other, "2")
    sent(other)
    for tab in (page, other):
        wait_for_text(tab, "3 answered")
    assert len(desk.responses()) == 3


def wait_for_text(page: Any, text: str) -> None:
    page.wait_for_function("text => document.getElementById('answered').textContent === text", arg=text)
