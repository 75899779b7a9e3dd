"""The sections that every run has."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from plaudit.report import sections
from plaudit.report.texts import Texts


def test_what_people_said_is_counted(words: str) -> None:
    assert "2 of these answers only check" in words
    table = re.search(r"chose left(.*?)everyone(.*?)Settings", words, re.DOTALL)
    assert table is not None
    # ann: second, skip, first, first; bob: first; shown in the order of the options
    assert table[1] == "ann421167% (21–94%)bob1100100% (21–100%)"
    assert table[2].split("%")[0] == "531175"


@pytest.mark.parametrize(
    ("kinds", "wanted"),
    [
        (None, "who said 7 times which one is better"),
        ({"comparison": 1.0, "rating": 0.0}, "who said 7 times which one is better"),
        (
            {"ranking": 1.0, "strength": 2.0},
            "who gave 7 answers about them (in which order they are; strength)",
        ),
    ],
)
def test_the_lead_says_what_was_asked(kinds: dict[str, float] | None, wanted: str) -> None:
    config = {"algorithm": "ppo", "feedback": {"labels": 7} | ({"kinds": kinds} if kinds else {})}
    run: Any = SimpleNamespace(config=config, labels=7)
    assert wanted in " ".join(sections.asked("from_people", run, Texts("en", people="people")).split())
    assert "7" in sections.asked("language_people", run, Texts("zh", people="人们"))
