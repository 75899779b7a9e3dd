"""The texts of both languages of people, and how numbers are written."""

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from plaudit.report import texts

FOLDER = Path(texts.__file__).parent
CODE = "".join(path.read_text() for path in FOLDER.rglob("*.py"))
BUILT = {  # names put together in the code
    *(
        f"{a}_{b}"
        for a in ("wins", "scored", "joint", "verdict")
        for b in ("better", "worse", "unclear", "unknown", "few")
    ),
    *(f"over_{a}_{b}" for a in ("gold_reward", "judgements") for b in ("seen", "unseen")),
    *(f"status_{name}" for name in ("running", "stopped", "failed")),
    *("drawn_better", "drawn_worse", "drawn_unclear", "joint_differs"),
    *("joint_control", "joint_language", "drift_capped", "drift_repetition"),
    *(f"rates_{a}_{b}" for a in ("tied", "agreement") for b in ("true_return", "gold_reward")),
}


def test_every_language_has_a_file_and_every_file_a_language() -> None:
    languages = get_args(texts.Language)
    assert sorted(path.stem for path in (FOLDER / "texts").iterdir()) == sorted(languages) == ["en", "zh"]


def test_both_languages_say_the_same_things() -> None:
    mine, other = texts.load("en"), texts.load("zh")
    assert list(mine) == list(other)
    for name, text in mine.items():
        assert isinstance(text, str) and isinstance(other[name], str), name
        needed, given_ = (
            {field for _, field, _, _ in Formatter().parse(t) if field} for t in (text, other[name])
        )
        assert needed == given_, name
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in text)


@pytest.mark.parametrize("language", get_args(texts.Language))
def test_no_text_hides_another(language: texts.Language) -> None:
    """YAML itself would take the last of two texts with one name."""
    lines = (FOLDER / "texts" / f"{language}.yaml").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[0] for line in lines if line[:1] not in ("", " ", "#")]
    assert len(names) == len(set(names)) == len(texts.load(language))


def test_every_text_is_used() -> None:
    unused = [
        name for name in texts.load("en") if not re.search(rf"[\"']{name}[\"']", CODE) and name not in BUILT
    ]
    assert not unused


def test_every_text_that_is_used_is_there() -> None:
    used = set(re.findall(r"\bsay\(\s*\"(\w+)\"", CODE))
    assert len(used) > 100
    assert used <= texts.load("en").keys()
    assert texts.load("en").keys() >= BUILT - {"wins_unknown", "scored_unknown", "verdict_few"}


@pytest.mark.parametrize("language", get_args(texts.Language))
def test_simulated_people_are_not_called_people(language: texts.Language) -> None:
    """A text that speaks of people has their name filled in, or is read only where real ones answer, or is about
    learning from people in general."""
    real = {"people_real", "people_some", "people_many", "people_one", "own_wish", "wins_by_proxy_reward",
            "wins_by_people", "over_say_people", "joint_title", "joint_rlhf"}  # fmt: skip
    word = {"en": r"\b(?<!simulated )people\b", "zh": "人们"}[language]
    found = {
        name
        for name, text in texts.load(language).items()
        if re.search(word, re.sub(r"{\w+}", "", text), re.IGNORECASE)
    }
    assert found <= real
    assert "people_real" in found


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.4, "1,234"), (-150.9, "−151"), (12.34, "12.3"), (0.126, "0.13"), (-0.001, "0.00"), (float("nan"), "–")],
)  # fmt: skip
def test_numbers_are_short(value: float, text: str) -> None:
    assert texts.number(value) == text


def test_percents_do_not_hide_the_rare() -> None:
    assert [texts.percent(share) for share in (0, 0.004, 0.126, 0.996, 1)] == [
        "0%",
        "0.4%",
        "13%",
        "99.6%",
        "100%",
    ]
