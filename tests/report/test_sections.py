"""The sections that every run has."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plaudit.feedback import Rating
from plaudit.report import sections
from plaudit.report.texts import Texts
from plaudit.runs.folder import RunFolder
from plaudit.storage import NewQuery, open_store
from plaudit.storage.store import NewResponse


def test_ratings_alone_make_no_table_of_comparisons(tmp_path: Path) -> None:
    store = open_store(tmp_path / "feedback.db")
    store.enqueue(
        [NewQuery(f"q{i}", "rating", ("a",), 0, {}, purpose=p) for i, p in enumerate(("train", "held_out"))]
    )
    for number, query in enumerate(store.queries()):
        said = Rating("a", "overall", 4, 1, 5)
        store.submit(NewResponse(str(number), query.id, "ann", said, ()))
    store.close()
    rates = {f"people/{name}": 0.0 for name in ("equal", "skip", "mistakes", "agreement")}
    run: Any = SimpleNamespace(
        folder=RunFolder(tmp_path),
        rows=[rates],
        labels=1,
        config={"feedback": {"labels": 2, "held_out": 0.5}},
    )
    told = sections.answers(run, "true_return", Texts("en", people="people"))
    assert "Answers by kind: rating 2." in told and "1 of these answers only check" in told
    assert (
        "<table" not in told
        and "Of the pairs they put in order" not in told
        and "agree with the true return" not in told
    )
    assert sections.answered(run) == 2


@pytest.mark.parametrize(
    ("rates", "said", "unsaid"),
    [
        (
            {"agreement": 1.0, "tied": 0.86},
            ["86% of the pairs they were asked about have exactly the same", "differ, 100% agree"],
            [],
        ),
        ({"agreement": 0.9, "tied": 0.0}, ["differ, 90% agree"], ["exactly the same"]),
        ({"agreement": 0.9}, ["differ, 90% agree"], ["exactly the same"]),
        ({"agreement": 0.0, "tied": 1.0}, ["100% of the pairs"], ["put in order whose"]),
    ],
)
def test_pairs_worth_the_same_count_for_no_agreement(
    rates: dict[str, float], said: list[str], unsaid: list[str]
) -> None:
    row = {
        f"people/{name}": value
        for name, value in ({"equal": 0.0, "skip": 0.0, "mistakes": 0.1} | rates).items()
    }
    run: Any = SimpleNamespace(rows=[row])
    told = sections._rates(run, "true_return", Texts("en"))
    assert "10% of their decided answers were slips" in told
    assert all(part in told for part in said) and not any(part in told for part in unsaid)


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
