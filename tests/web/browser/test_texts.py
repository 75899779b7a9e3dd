"""Texts on the card: formatted and raw, long dialogues, scrolling together, differences; by keyboard and by mouse."""

from typing import Any

from tests.web.browser.acting import fits, press, question, sign_in
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
OTHER = REAL.replace("fast", "quick").replace("never negative", "never below zero").replace("### Note", "### Remark")
TALK = "".join(
    f"\n\nHuman: Question {n}: why?\n\nAssistant: Answer {n}. " + "It is a long story. " * (5 * n) for n in range(1, 9)
)


def ask_real(desk: FeedbackSession, times: int = 1) -> None:
    for _ in range(times):
        desk.ask("comparison", [desk.text(REAL), desk.text(OTHER)], prompt="Sum the numbers from 1 to `n`, *please*.")


def ask_talk(desk: FeedbackSession) -> None:
    answers = [desk.text(" Because **of that**. " * 150), desk.text(" So it is.\n\nHuman: Sure?\n\nAssistant: Yes.")]
    desk.ask("comparison", answers, prompt=TALK + "\n\nHuman: And in the end?\n\nAssistant:")


def test_shots(desk: FeedbackSession, browse: Any, shoot: Any) -> None:
    ask_real(desk)
    ask_talk(desk)
    desk.start()
    page = browse(viewport={"width": 1280, "height": 1500})
    sign_in(page, desk)
    question(page)
    shoot(page, "real-light")
    page.keyboard.press("d")
    shoot(page, "real-differences")
    page.click("#theme")
    shoot(page, "real-dark")
    page.set_viewport_size({"width": 1280, "height": 800})
    press(page, "1")
    question(page)
    shoot(page, "talk-dark")
    page.click("#theme")
    page.keyboard.press("j")
    shoot(page, "talk-light")
    page.keyboard.press("r")
    shoot(page, "talk-raw")
    page.keyboard.press("r")
    page.set_viewport_size({"width": 360, "height": 740})
    shoot(page, "talk-phone")
