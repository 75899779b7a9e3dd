"""What the pages say about the run while people answer, and when there is nothing more to answer."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import yaml

from plaudit.web.trainer import State
from tests.web.browser.acting import press, question, sent, sign_in, until
from tests.web.browser.conftest import NETWORK, Watch
from tests.web.browser.serving import FeedbackSession

STATIC = Path(__file__).parents[3] / "src" / "plaudit" / "web" / "static"
LABEL_ONLY = {"stage": "label", "status": "running"}
SOON = "() => document.getElementById('empty').dataset.supply === '{}'"


def manifest(desk: FeedbackSession, **changes: Any) -> None:
    about = {"stage": "optimise", "status": "running"} | changes
    (desk.folder / "manifest.json").write_text(json.dumps(about))


def patient(desk: FeedbackSession, seconds: float) -> None:
    found = {"steps": 1000, "feedback": {"people": [], "patience": seconds}}
    (desk.folder / "config.yaml").write_text(yaml.safe_dump(found))


def hurry(page: Any) -> None:
    """Let the page look for what the trainer does every half second."""
    page.context.add_init_script(
        "const set = setInterval; window.setInterval = (run, pause) => set(run, pause === 10000 ? 500 : pause);"
    )


def note(page: Any, state: str) -> None:
    """The note beside the question says so."""
    page.wait_for_function(
        "key => { const note = document.getElementById('meanwhile'); return !note.hidden && note.dataset.t === key; }",
        arg=f"meanwhile.{state}",
    )


def test_label_only_mode_speaks_of_no_policy_and_says_when_all_is_done(
    desk: FeedbackSession, browse: Any, shoot: Any
) -> None:
    desk.ask_texts(3)
    manifest(desk, **LABEL_ONLY)
    page, other = browse(locale="zh-CN"), browse()
    sign_in(page, desk.start())
    question(page)  # all three are hers
    token = desk.database.people.invite("annotator", "Bo")[1]
    sign_in(other, desk, f"{desk.address}/join?named#{token}")
    other.wait_for_function(SOON.format("none"))
    said = other.locator("#empty-text")
    assert "Other people have the questions that are left" in str(said.text_content())
    for _ in range(3):
        press(page, "1")
    page.wait_for_function(SOON.format("finished"))
    assert page.locator("#empty-title").text_content() == "全部完成，谢谢您"
    assert not page.locator("#waiting").is_visible()
    shoot(page, "chinese-all-done")
    sent(page)
    other.wait_for_function(SOON.format("finished"))
    assert other.locator("#empty-title").text_content() == "All done, thank you"
    shoot(other, "all-done")
    page.keyboard.press("u")  # an answer can still be changed
    question(page)
    assert not page.locator("#meanwhile").is_visible()


def test_the_pages_say_when_the_run_goes_on_without_somebody(
    desk: FeedbackSession, browse: Any, watch: Watch, shoot: Any
) -> None:
    desk.ask_texts(6)
    manifest(desk)
    patient(desk, 2.0)
    page = browse()
    hurry(page)
    sign_in(page, desk.start())
    press(page, "1")
    question(page)
    assert not page.locator("#meanwhile").is_visible()
    (desk.folder / "metrics.jsonl").write_text('{"update": 1, "decisions": 100, "feedback/alone": 1.0}\n')
    note(page, "alone")
    shoot(page, "gone-on-alone")
    run = page.context.new_page()
    run.goto(f"{desk.address}/run")
    run.wait_for_selector("#alone:not([hidden])")
    assert "2 seconds" in run.locator("#alone").text_content()
    shoot(run, "run-alone")
    page.bring_to_front()
    press(page, "1")  # somebody is back
    page.wait_for_function("() => document.getElementById('meanwhile').hidden")
    manifest(desk, status="finished")
    note(page, "over")
    press(page, "1")
    until(lambda: len(desk.responses()) == 3)


def test_a_run_that_ended_has_nothing_more_until_it_is_resumed(
    desk: FeedbackSession, browse: Any, shoot: Any
) -> None:
    desk.ask_texts(1)
    page = browse()
    hurry(page)
    sign_in(page, desk.start())
    press(page, "1")
    page.wait_for_function(SOON.format("none"))
    assert "The policy is learning" in page.locator("#empty-text").text_content()
    manifest(desk, status="stopped")
    page.wait_for_function(SOON.format("finished"))
    manifest(desk)
    desk.ask_texts(1)
    question(page)


def test_a_stop_from_before_a_restart_is_over(desk: FeedbackSession, browse: Any, watch: Watch) -> None:
    watch.expected.append(NETWORK)
    desk.database.store.command("stop", {})
    manifest(desk, obeys_after=1)
    page = browse()
    sign_in(page, desk.start())
    page.goto(f"{desk.address}/run")
    page.wait_for_selector(".pill.running")
    assert not page.locator("#wish").is_visible()
    desk.database.store.command("stop", {})
    page.wait_for_selector("#wish:not([hidden])")
    manifest(desk, status="killed")
    page.wait_for_selector(".pill.killed")
    assert page.locator("#state").text_content() == "Interrupted"


def test_every_state_has_its_words() -> None:
    for language in ("en", "zh"):
        text = (STATIC / f"words-{language}.js").read_text(encoding="utf-8")
        known = set(re.findall(r'^  "?([\w.]+)"?: ', text, re.MULTILINE))
        assert {f"none.{state}" for state in get_args(State)} <= known
        assert {f"meanwhile.{state}" for state in ("alone", "paused", "down", "over")} <= known
        statuses = ("running", "stopped", "finished", "failed", "killed", "waiting", "paused", "label")
        assert {f"state.{status}" for status in statuses} <= known
