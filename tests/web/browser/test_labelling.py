"""Every kind of question, by keyboard, mouse and touch."""

from typing import Any

from plaudit.feedback.binary import Binary
from plaudit.feedback.comparison import Comparison
from plaudit.feedback.ranking import Ranking
from plaudit.feedback.rating import Rating
from tests.web.browser.acting import press, question, ranked, said, sent, sign_in, until
from tests.web.browser.serving import FeedbackSession

NASTY = '<img src="x" onerror="alert(1)"><script>alert(2)</script>  two  spaces\n\ttab'


def wait_for(desk: FeedbackSession, count: int) -> list[Any]:
    until(lambda: len(desk.responses()) >= count)
    return desk.responses()


def answers(desk: FeedbackSession, count: int) -> list[Any]:
    return [response.feedback for response in wait_for(desk, count)]


def test_pairs_of_texts_by_keyboard(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    desk.ask("comparison", [desk.text(NASTY), desk.text("")], prompt=NASTY)
    desk.ask_texts(4)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    assert page.locator("#question .prompt .text").text_content() == NASTY.replace(
        "\n\t", ""
    )  # Markdown: a new line
    assert page.locator("#question img, #question script").count() == 0
    page.keyboard.press("r")
    assert page.locator("#question .prompt .text").text_content() == NASTY
    texts = page.locator("#question .option .text").all_text_contents()
    assert sorted(texts) == sorted([NASTY, "(empty)"])
    assert page.locator("#question img, #question script").count() == 0
    assert page.locator("#answered").is_hidden()
    shoot(page, "pair-of-texts")
    for key in ("1", "2", "=", "0", "s"):
        press(page, key)
    answers(desk, 5)
    assert [said(desk, each) for each in desk.responses()] == ["first", "second", "equal", "both_bad", "skip"]
    for response in desk.responses():
        assert 300 <= response.active_ms < 60_000
    assert len({response.client_uuid for response in desk.responses()}) == 5
    assert page.locator("#answered").text_content() == "5 answered"


def test_pairs_of_texts_by_mouse_and_a_double_click_counts_once(desk: FeedbackSession, browse: Any) -> None:
    desk.ask_texts(6)
    page = browse()
    sign_in(page, desk.start())
    shown = question(page)
    page.dblclick("[data-key='2']")
    shown = question(page, shown)
    assert len(answers(desk, 1)) == 1
    for key in ("1", "=", "0", "s"):
        page.click(f"[data-key='{key}']")
        shown = question(page, shown)
    page.evaluate(  # three presses in one moment, and a key that is held down
        """() => { for (const repeat of [false, false, true]) {
          document.dispatchEvent(new KeyboardEvent("keydown", { key: "1", repeat, bubbles: true })); } }"""
    )
    sent(page)
    page.wait_for_timeout(600)
    assert [said(desk, each) for each in wait_for(desk, 6)] == [
        "second",
        "first",
        "equal",
        "both_bad",
        "skip",
        "first",
    ]


def test_conversations_are_bubbles(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Why is the sky blue?"},
        {"role": "assistant", "content": "Shall I explain?"},
        {"role": "user", "content": NASTY},
    ]
    replies = [[{"role": "assistant", "content": text}] for text in ("Air scatters blue light.", "Magic.")]
    desk.ask("comparison", [desk.text(reply, turns) for reply in replies])
    page = browse()
    sign_in(page, desk.start())
    question(page)
    roles = page.locator(".prompt .bubble").evaluate_all("nodes => nodes.map((node) => node.classList[1])")
    assert roles == ["system", "user", "assistant", "user"]
    page.keyboard.press("r")
    assert page.locator(".prompt .bubble .text").last.text_content() == NASTY
    page.keyboard.press("r")
    assert page.locator(".option .bubble.assistant").count() == 2
    shoot(page, "conversation")


def test_clips_play_in_lock_step(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    desk.ask_clips(2)
    page = browse()
    sign_in(page, desk.start())
    shown = question(page)
    page.wait_for_function("() => document.querySelectorAll('.screen .loading:not([hidden])').length === 0")
    frames = page.evaluate(
        """() => new Promise((resolve) => {
          const seen = [];
          const look = () => {
            seen.push([...document.querySelectorAll("canvas")].map((canvas) => canvas.dataset.frame));
            seen.length < 400 && new Set(seen.flat()).size < 8 ? requestAnimationFrame(look) : resolve(seen);
          };
          look();
        })"""
    )
    assert all(one == other for one, other in frames)
    assert len({one for one, _ in frames}) == 8
    page.keyboard.press("p")
    page.keyboard.press(" ")
    page.keyboard.press(",")  # from the very start, and paused
    assert frame(page) in ("0", "1")
    before = int(frame(page))
    for _ in range(3):
        page.keyboard.press(".")
    assert frame(page) == str(before + 3)
    page.wait_for_timeout(200)
    assert frame(page) == str(before + 3)
    page.keyboard.press("[")
    assert page.locator(".speed").text_content() == "0.5×"
    page.keyboard.press("]")
    page.keyboard.press("]")
    assert page.locator(".speed").text_content() == "2×"
    assert drawn(page) == [True, True]
    shoot(page, "pair-of-clips")
    page.locator("canvas").first.click()  # goes on
    page.wait_for_function(
        "old => document.querySelector('canvas').dataset.frame !== old", arg=str(before + 3)
    )
    page.get_by_role("button", name="Replay").click()
    page.keyboard.press("1")
    question(page, shown)
    page.click("[data-key='2']")
    assert [said(desk, each) for each in wait_for(desk, 2)] == ["first", "second"]


def frame(page: Any) -> str:
    both = page.locator("canvas").evaluate_all("nodes => nodes.map((node) => node.dataset.frame)")
    assert both[0] == both[1]
    return both[0]


def drawn(page: Any) -> list[bool]:
    """Whether each canvas holds more than one colour."""
    return page.locator("canvas").evaluate_all(
        """nodes => nodes.map((node) => {
          const { data } = node.getContext("2d").getImageData(0, 0, node.width, node.height);
          return new Set(new Uint32Array(data.buffer)).size > 1;
        })"""
    )


END = {"how": "terminated", "frame": 11}
CUT = {"how": "time_limit", "frame": 29}


def clips_that_end(desk: FeedbackSession) -> None:
    """A clip that is cut by a time limit, and a shorter one whose episode ends."""
    (first, one), (second, two) = desk.clip("#0072b2", 30), desk.clip("#d55e00", 12)
    desk.ask("comparison", [first, second], clips=[one | {"end": CUT}, two | {"end": END}])


def test_the_end_of_an_episode_is_marked_until_both_clips_are_over(
    desk: FeedbackSession, browse: Any, shoot: Any
) -> None:
    clips_that_end(desk)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    page.wait_for_function("() => document.querySelectorAll('.screen .loading:not([hidden])').length === 0")
    page.keyboard.press("p")
    for _ in range(30):
        page.keyboard.press(",")
    assert frame(page) == "0" and marks(page) == []
    for _ in range(10):
        page.keyboard.press(".")
    assert marks(page) == []
    page.keyboard.press(".")
    assert frame(page) == "11" and marks(page) == ["The episode ends here"]
    for _ in range(17):
        page.keyboard.press(".")
    assert frame(page) == "28" and marks(page) == ["The episode ends here"]
    page.keyboard.press(".")
    assert sorted(marks(page)) == ["The episode ends here", "Time is up: the episode ends here"]
    assert all(page.locator(".screen .end").evaluate_all(INSIDE))
    shoot(page, "ends-of-episodes")
    page.keyboard.press(",")
    assert len(marks(page)) == 1


INSIDE = """nodes => nodes.map((node) => {
  const [mark, screen] = [node, node.parentElement].map((each) => each.getBoundingClientRect());
  return mark.left >= screen.left && mark.right <= screen.right && mark.bottom <= screen.bottom;
})"""


def marks(page: Any) -> list[str]:
    return page.locator(".screen .end:not([hidden])").all_text_contents()


def test_clips_of_different_speeds_run_by_one_clock(desk: FeedbackSession, browse: Any) -> None:
    """Thirty pictures at 30 a second and fifteen at 15 are both over after a second; so short a one begins slowly."""
    (first, one), (second, two) = desk.clip("#0072b2", 31), desk.clip("#d55e00", 16)
    ends = {"end": {"how": "terminated", "frame": 30}}, {"end": {"how": "terminated", "frame": 15}}
    desk.ask("comparison", [first, second], clips=[one | ends[0] | {"fps": 30.0}, two | ends[1]])
    page = browse(reduced_motion="reduce")
    sign_in(page, desk.start())
    question(page)
    page.wait_for_function("() => document.querySelectorAll('.screen .loading:not([hidden])').length === 0")
    assert page.locator(".speed").text_content() == "0.5×"
    for _ in range(29):
        page.keyboard.press(".")
    assert frame(page) == "29" and marks(page) == []
    page.keyboard.press(".")
    assert frame(page) == "30" and len(marks(page)) == 2


def test_clips_stand_still_where_motion_is_unwanted(desk: FeedbackSession, browse: Any) -> None:
    desk.ask_clips(1)
    page = browse(reduced_motion="reduce")
    sign_in(page, desk.start())
    question(page)
    page.wait_for_timeout(500)
    assert frame(page) == "0"
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('canvas').dataset.frame === '19'")
    page.wait_for_timeout(1000)
    assert frame(page) == "19"


def test_rankings_by_keyboard(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    items = [desk.text(text) for text in ("one", "two", "three", "four")]
    desk.ask("ranking", items, prompt="Count.")
    page = browse()
    sign_in(page, desk.start())
    question(page)
    texts = page.locator(".option .text").all_text_contents()
    assert page.locator("[data-key=Enter]").is_disabled()
    for key in ("3", "1", "4", "2"):  # 3 > 1 > 4 > 2
        page.keyboard.press(key)
    page.keyboard.press("ArrowUp")  # 3 > 1 > 4 = 2
    page.keyboard.press("ArrowUp")  # 3 > 1 > 2 > 4
    page.keyboard.press("ArrowUp")  # 3 > 1 = 2 > 4
    page.keyboard.press("4")
    page.keyboard.press("Backspace")
    assert page.locator("[data-key=Enter]").is_disabled()
    page.keyboard.press("4")
    shoot(page, "ranking")
    page.keyboard.press("Enter")
    (found,) = answers(desk, 1)
    assert isinstance(found, Ranking)
    assert ranked(desk, found) == [{texts[2]}, {texts[0], texts[1]}, {texts[3]}]


def test_rankings_by_mouse(desk: FeedbackSession, browse: Any) -> None:
    desk.ask("ranking", [desk.text(text) for text in ("one", "two", "three")], prompt="Count.")
    page = browse()
    sign_in(page, desk.start())
    question(page)
    texts = page.locator(".option .text").all_text_contents()
    for place in (0, 1, 2):
        page.locator(".option .place").nth(place).click()
    drag(page, 2, lambda: above(page, 0))  # 3 > 1 > 2
    assert order(page) == [["2"], ["0"], ["1"]]
    drag(page, 1, lambda: middle(page, 0))  # 3 = 2 > 1
    assert order(page) == [["2", "1"], ["0"]]
    page.click("[data-key='Enter']")
    (found,) = answers(desk, 1)
    assert ranked(desk, found) == [{texts[1], texts[2]}, {texts[0]}]


def order(page: Any) -> list[list[str]]:
    return page.locator(".tier").evaluate_all(
        "nodes => nodes.map((node) => [...node.querySelectorAll('[data-item]')].map((chip) => chip.dataset.item))"
    )


def middle(page: Any, tier: int) -> float:
    box = page.locator(".tier").nth(tier).bounding_box()
    return box["y"] + box["height"] / 2


def above(page: Any, tier: int) -> float:
    return page.locator(".tier").nth(tier).bounding_box()["y"] + 2


def drag(page: Any, item: int, height: Any) -> None:
    box = page.locator(f"[data-item='{item}']").bounding_box()
    page.mouse.move(box["x"] + 12, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + 20, height(), steps=4)
    page.mouse.up()


def test_ratings_and_thumbs(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    text = desk.text("A good answer.")
    for _ in range(3):
        desk.ask("rating", [text], prompt="Say it.", scale={"criterion": "helpfulness", "low": 1, "high": 5})
    for _ in range(3):
        desk.ask("binary", [text], prompt="Say it.", question="Would you send this?")
    page = browse()
    sign_in(page, desk.start())
    shown = question(page)
    assert "helpfulness" in page.locator(".criterion").text_content()
    shoot(page, "rating")
    page.keyboard.press("4")
    shown = question(page, shown)
    page.click("[data-key='5']")
    shown = question(page, shown)
    page.keyboard.press("s")
    shown = question(page, shown)
    assert page.locator("#ask").text_content() == "Would you send this?"
    shoot(page, "thumbs")
    page.keyboard.press("1")
    shown = question(page, shown)
    page.click("[data-key='2']")
    question(page, shown)
    page.keyboard.press("s")
    found = answers(desk, 6)
    assert [each.value for each in found if isinstance(each, Rating)] == [4, 5, None]
    assert [each.good for each in found if isinstance(each, Binary)] == [True, False, None]


def test_what_cannot_be_shown_can_only_be_skipped(desk: FeedbackSession, browse: Any) -> None:
    desk.ask("comparison", ["0" * 64, desk.text("there")], prompt="?")
    page = browse()
    sign_in(page, desk.start())
    question(page)
    assert page.locator("[data-key='1']").is_disabled()
    page.keyboard.press("1")
    page.wait_for_timeout(300)
    assert not desk.responses()
    page.keyboard.press("s")
    (found,) = answers(desk, 1)
    assert isinstance(found, Comparison) and found.answer == "skip"


def test_the_last_ten_answers_can_be_corrected(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    ids = desk.ask_texts(13)
    page = browse()
    sign_in(page, desk.start())
    for _ in range(12):
        press(page, "1")
    current = question(page)
    sent(page)
    page.keyboard.press("u")
    shown = question(page, current)
    assert page.locator("[data-key='1'][aria-current]").count() == 1
    shoot(page, "undo")
    for _ in range(9):
        page.keyboard.press("u")
        shown = question(page, shown)
    page.keyboard.press("u")  # there is no eleventh
    page.wait_for_timeout(300)
    assert page.get_attribute("#stage", "data-query") == shown
    page.keyboard.press("2")
    assert question(page, shown) == current
    sent(page)
    page.click("[data-key='u']")
    assert question(page, current) == shown  # the correction is the newest answer
    page.keyboard.press("Escape")
    assert question(page, shown) == current
    found = desk.responses()
    assert len(found) == 13 and len(desk.standing()) == 12
    assert found[-1].query_id == int(shown) and said(desk, found[-1]) == "second"
    assert {response.query_id for response in found} < set(ids)


def test_help_shows_every_key_and_stops_answers(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    desk.ask_texts(1)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    page.keyboard.press("?")
    page.keyboard.press("1")
    page.wait_for_timeout(300)
    assert not desk.responses()
    shoot(page, "help")
    page.keyboard.press("?")
    assert not page.locator("#help").is_visible()
    page.click("[data-key='?']")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    answers(desk, 1)


def test_new_questions_come_by_themselves(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    page = browse()
    sign_in(page, desk.start())
    page.wait_for_function("() => document.getElementById('empty').dataset.supply === 'none'")
    shoot(page, "no-question")
    desk.ask_texts(1)
    press(page, "1")
    answers(desk, 1)
