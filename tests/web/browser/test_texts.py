"""Texts on the card: formatted and raw, long dialogues, scrolling together, differences; by keyboard and by mouse."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

from tests.web.browser.acting import GUARD, fits, press, question, sign_in
from tests.web.browser.serving import FeedbackSession

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
REAL = r"""Sure! To sum the numbers from 1 to $n$, use **Gauss's formula**:

\[
\sum_{i=1}^{n} i = \frac{n(n+1)}{2}
\]

Here is the same in Python:

```python
def total(n: int) -> int:
    # the closed form
    return n * (n + 1) // 2 if n > 0 else 0  # never negative, however large the number that somebody asks for may be

print(f"The sum is {total(100)}")
```

| n | loop | formula |
|--:|:-----|:-------:|
| 10 | `55` | 55 |
| 100 | `5050` | **5050** |

1. It is *fast*: $O(1)$ instead of $O(n)$.
2. It costs $0 or $5, see [the proof](https://example.org/proof) ![a sketch](https://example.org/a.png)
   - [x] checked
   - [ ] ~~guessed~~ proved, as $$e^{i\pi} + 1 = 0$$

> For a matrix: $\begin{pmatrix} a & b \\ c & d \end{pmatrix}$, so $\boxed{\det = ad - bc}$

### Note

Chinese 中文 works, عربي too; a hidden sign: ‮ there.
"""
OTHER = (
    REAL.replace("fast", "quick")
    .replace("never negative", "never below zero")
    .replace("### Note", "### Remark")
)
TALK = "".join(
    f"\n\nHuman: Question {n}: why?\n\nAssistant: Answer {n}. " + "It is a long story. " * (5 * n)
    for n in range(1, 9)
)


def ask_real(desk: FeedbackSession, times: int = 1) -> None:
    for _ in range(times):
        desk.ask(
            "comparison",
            [desk.text(REAL), desk.text(OTHER)],
            prompt="Sum the numbers from 1 to `n`, *please*.",
        )


def ask_talk(desk: FeedbackSession) -> None:
    answers = [
        desk.text(" Because **of that**. " * 150),
        desk.text(" So it is.\n\nHuman: Sure?\n\nAssistant: Yes."),
    ]
    desk.ask("comparison", answers, prompt=TALK + "\n\nHuman: And in the end?\n\nAssistant:")


def shown(page: Any) -> list[str]:
    """The texts of the options."""
    return page.locator(".option .said").all_text_contents()


def tops(page: Any) -> list[float]:
    """How far each answer is scrolled."""
    return page.locator(".option .scroll").evaluate_all("boxes => boxes.map((box) => box.scrollTop)")


def marked(page: Any) -> list[str]:
    """What is marked as different."""
    return page.evaluate("[...(CSS.highlights.get('difference') ?? [])].map((range) => range.toString())")


def test_markdown_code_and_formulas(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    ask_real(desk, 2)
    page = browse(viewport={"width": 1280, "height": 1500})
    sign_in(page, desk.start())
    question(page)
    card = page.locator(".option").first
    for name, count in [
        ("h5", 1),
        ("table", 1),
        ("pre", 1),
        ("math", 7),
        ("li", 4),
        ("blockquote", 1),
        ("s", 1),
        ("img", 0),
        (".control", 1),
    ]:
        assert card.locator(name).count() == count, name
    sizes = card.locator("math").evaluate_all(
        "nodes => nodes.map((node) => [node.namespaceURI, node.getBoundingClientRect().width > 3])"
    )
    assert sizes == [["http://www.w3.org/1998/Math/MathML", True]] * 7
    colours = card.locator("pre span").evaluate_all(
        "nodes => nodes.map((node) => getComputedStyle(node).color)"
    )
    assert len(set(colours)) >= 5
    link = card.locator("a")
    assert [link.get_attribute(name) for name in ("href", "rel", "target")] == [
        "https://example.org/proof",
        "noopener noreferrer",
        "_blank",
    ]
    assert (
        "(https://example.org/proof)" in card.text_content()
        and "a sketch (https://example.org/a.png)" in card.text_content()
    )
    assert page.locator("#question [style]").count() == 0
    shoot(page, "text-formatted")
    page.click("#theme")
    shoot(page, "text-formatted-dark")


def test_raw_text_by_key_and_button_is_remembered_for_each_person(
    desk: FeedbackSession, browse: Any, shoot: Any
) -> None:
    ask_real(desk, 3)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    page.keyboard.press("r")
    assert sorted(shown(page)) == sorted([REAL, OTHER])
    assert page.locator(".prompt .said").text_content() == "Sum the numbers from 1 to `n`, *please*."
    assert page.get_attribute("[data-read=r]", "aria-pressed") == "true"
    shoot(page, "text-raw")
    press(page, "1")
    question(page)
    assert sorted(shown(page)) == sorted([REAL, OTHER])
    page.reload()
    question(page)
    assert sorted(shown(page)) == sorted([REAL, OTHER])  # remembered
    page.click("[data-read=r]")
    assert page.locator(".option math").count() > 0
    page.keyboard.press("R")  # a capital is the same key
    assert page.locator(".option math").count() == 0
    page.evaluate(
        "localStorage.setItem(Object.keys(localStorage).find((key) => key.startsWith('plaudit-reading/')), '[no')"
    )
    page.reload()
    question(page)
    assert page.locator(".option math").count() > 0  # what cannot be read is forgotten


def test_a_long_dialogue_shows_its_last_turn_first(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    ask_talk(desk)
    page = browse()
    sign_in(page, desk.start())
    question(page)
    roles = page.locator(".prompt .bubble").evaluate_all("nodes => nodes.map((node) => node.classList[1])")
    assert roles == ["user", "assistant"] * 8 + ["user"]
    assert page.locator(".option .bubble").count() == 3  # of the one that goes on by itself
    box, last = page.locator(".prompt .scroll"), page.locator(".prompt .bubble").last
    page.wait_for_function("() => document.querySelector('.prompt .scroll').scrollTop > 0")
    inside = box.bounding_box()
    assert last.bounding_box()["y"] + last.bounding_box()["height"] <= inside["y"] + inside["height"] + 1
    assert (
        page.locator(".prompt .more.above").is_visible() and page.locator(".prompt .more.below").is_hidden()
    )
    shoot(page, "dialogue")
    box.focus()
    page.keyboard.press("Home")
    page.wait_for_function("() => document.querySelector('.prompt .scroll').scrollTop === 0")
    assert (
        page.locator(".prompt .more.above").is_hidden() and page.locator(".prompt .more.below").is_visible()
    )
    page.keyboard.press("r")
    assert page.locator(".prompt .said").text_content() == TALK + "\n\nHuman: And in the end?\n\nAssistant:"
    page.wait_for_function("() => document.querySelector('.prompt .scroll').scrollTop > 0")
    shoot(page, "dialogue-raw")


def test_answers_scroll_together_by_key_and_by_button(desk: FeedbackSession, browse: Any) -> None:
    long = [
        desk.text("\n\n".join(f"{name} {n} " + "word " * 40 for n in range(60))) for name in ("One", "Two")
    ]
    desk.ask("comparison", long, prompt="Go on.")
    page = browse()
    sign_in(page, desk.start())
    question(page)
    while tops(page) == [0, 0]:  # the page goes first, until the answers are in sight
        page.keyboard.press("j")
    first, second = tops(page)
    bar = page.locator("#actions").bounding_box()["y"]
    assert all(
        box.bounding_box()["y"] + box.bounding_box()["height"] <= bar
        for box in page.locator(".option .scroll").all()
    )
    assert first == second > 100
    page.keyboard.press("k")
    assert tops(page) == [0, 0]
    scroll = "place => { document.querySelectorAll('.option .scroll')[place[0]].scrollTop = place[1]; }"
    page.evaluate(scroll, [0, 300])
    page.wait_for_timeout(200)
    assert tops(page) == [300, 0]
    page.keyboard.press("t")
    page.evaluate(scroll, [0, 500])
    page.wait_for_function("() => document.querySelectorAll('.option .scroll')[1].scrollTop === 500")
    page.evaluate(scroll, [1, 200])
    page.wait_for_function("() => document.querySelectorAll('.option .scroll')[0].scrollTop === 200")
    page.wait_for_timeout(200)
    assert tops(page) == [200, 200]
    page.reload()
    question(page)
    assert page.get_attribute("[data-read=t]", "aria-pressed") == "true"  # remembered
    page.click("[data-read=t]")
    page.evaluate(scroll, [1, 400])
    page.wait_for_timeout(200)
    assert tops(page) == [0, 400]


def test_differences_by_key_and_by_button(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    ask_real(desk)
    desk.ask("comparison", [desk.text("The same **words**."), desk.text("The *same* words.")])
    desk.ask("comparison", [desk.text("今天天气很好"), desk.text("今天天气不错")])
    desk.ask(
        "rating", [desk.text("One.")], prompt="Say it.", scale={"criterion": "overall", "low": 1, "high": 5}
    )
    page = browse()
    sign_in(page, desk.start())
    question(page)
    page.keyboard.press("d")
    assert sorted(marked(page)) == sorted(["negative", "below zero", "fast", "quick", "Note", "Remark"])
    assert page.locator("#status").text_content() == "6 places that differ are marked"
    page.keyboard.press("r")  # the raw text is marked as well
    assert sorted(marked(page)) == sorted(["negative", "below zero", "fast", "quick", "Note", "Remark"])
    assert sorted(shown(page)) == sorted([REAL, OTHER])
    page.keyboard.press("r")
    shoot(page, "text-differences")
    page.click("[data-read=d]")
    assert marked(page) == []
    page.keyboard.press("d")
    press(page, "1")
    question(page)
    assert marked(page) == []  # on demand, for each question
    page.keyboard.press("d")
    assert marked(page) == [] and page.locator("#status").text_content() == "Both have the same words"
    press(page, "1")
    question(page)
    page.keyboard.press("d")
    assert sorted("".join(part) for part in marked(page)) == sorted(["很好", "不错"])
    press(page, "1")
    question(page)
    assert (
        page.locator("[data-read=d], [data-read=t]").count() == 0
        and page.locator("[data-read=r]").count() == 1
    )
    page.keyboard.press("d")
    assert marked(page) == []


def test_the_words_that_differ_are_the_fewest(desk: FeedbackSession, browse: Any) -> None:
    """Against the longest common subsequence, by the table that everybody knows."""
    page = browse()
    page.goto(desk.start().address + "/join")
    draw = random.Random(0)
    pairs = [tuple("".join(draw.choices("abcd", k=draw.randrange(12))) for _ in "12") for _ in range(300)]
    found = page.evaluate(
        """async (pairs) => { const { loneWords } = await import("/static/differences.js");
          return pairs.map(([one, two]) => loneWords([...one], [...two])); }""",
        pairs,
    )
    for (one, two), (lone, other) in zip(pairs, found, strict=True):
        common = [sign for sign, alone in zip(one, lone, strict=True) if not alone]
        assert common == [sign for sign, alone in zip(two, other, strict=True) if not alone]
        assert len(common) == longest(one, two), (one, two)
    far = page.evaluate(
        """async () => { const { loneWords } = await import("/static/differences.js");
          const list = (name) => Array.from({ length: 20000 }, (_, n) => `${name}${n}`);
          const began = performance.now();
          const [lone, other] = loneWords(list("a"), list("b"));
          return [lone.every(Boolean) && other.every(Boolean), performance.now() - began]; }"""
    )
    assert far[0] and far[1] < 10_000


def longest(one: str, two: str) -> int:
    table = [[0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(two):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def test_on_a_phone_and_in_chinese(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    ask_real(desk)
    ask_talk(desk)
    page = browse(**PHONE, locale="zh-CN", color_scheme="dark")
    sign_in(page, desk.start())
    assert question(page)
    assert page.locator(".reading button span").all_text_contents() == ["原文", "同步滚动", "差异"]
    fits(page)
    shoot(page, "phone-formatted")
    page.locator("pre").first.scroll_into_view_if_needed()
    shoot(page, "phone-code")
    page.tap("[data-read=d]")
    assert "6" in page.locator("#status").text_content() and len(marked(page)) == 6
    page.tap("[data-read=r]")
    assert sorted(shown(page)) == sorted([REAL, OTHER])
    fits(page)
    page.tap("[data-read=r]")
    page.tap("[data-key='1']")
    page.wait_for_function("() => document.querySelectorAll('.prompt .bubble').length === 17")
    page.wait_for_function("() => document.querySelector('.prompt .scroll').scrollTop > 0")
    assert page.locator(".prompt .more.above").text_content() == "↑ 上面还有"
    fits(page)
    shoot(page, "phone-dialogue")
    page.wait_for_timeout(GUARD)
    page.keyboard.press("?")
    assert "标出两个回答中不同的词" in page.locator("#help").text_content()


def test_real_answers_of_others(desk: FeedbackSession, browse: Any, shoot: Any, shared_data: Path) -> None:
    with gzip.open(shared_data / "text_pairs" / "hh_pairs.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = sorted((json.loads(line) for line in list(lines)[:400]), key=lambda row: -len(row["prompt"]))[
            :2
        ]
    for row in rows:
        desk.ask("comparison", [desk.text(row["chosen"]), desk.text(row["rejected"])], prompt=row["prompt"])
    with gzip.open(
        shared_data / "text_rankings" / "oasst_en_100_trees.jsonl.gz", "rt", encoding="utf-8"
    ) as lines:
        trees = [json.loads(line)["prompt"] for line in lines]
    tree = next(tree for tree in trees if len(tree["replies"]) > 1 and "```" in tree["replies"][0]["text"])
    desk.ask("ranking", [desk.text(reply["text"]) for reply in tree["replies"]], prompt=tree["text"])
    page = browse()
    sign_in(page, desk.start())
    for name in ("hh-1", "hh-2"):
        question(page)
        assert page.locator(".prompt .bubble.user").count() > 1
        shoot(page, f"real-{name}")
        press(page, "1")
    question(page)
    assert page.locator(".option pre").count() >= 1
    shoot(page, "real-oasst")
