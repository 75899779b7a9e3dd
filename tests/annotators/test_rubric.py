"""The hidden rubric by answers judged by hand, by what no trick may achieve, and over the corpus."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.annotators.rubric import Marks, Weights, marks, score, sentences
from plaudit.environments.language.service import (
    POLITE_PHRASES,
    RUDE_PHRASES,
    SENTENCES,
    VALUES,
    Style,
    cases,
)
from plaudit.errors import PlauditError

FACTS = {"item": "blue lamp", "matter": "arrives", "day": "Tuesday"}
ANSWER = "Your blue lamp arrives on Tuesday."
OPENING, CLOSING = "Thank you for asking us.", "We are always glad to help."
PERFECT = f" {OPENING} {ANSWER} {CLOSING}"


def judged(text: str) -> Marks:
    return marks(text, FACTS)


def test_a_perfect_answer_has_every_mark_in_full() -> None:
    assert judged(PERFECT) == Marks(1.0, 1.0, 1.0, 1.0)
    assert score(PERFECT, FACTS) == Weights().highest == 5.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ANSWER, 0.0),
        (f"{OPENING} {ANSWER}", 0.5),
        (f"THANK YOU! {ANSWER}", 0.5),
        (f"Sorry, sorry. {ANSWER}", 0.5),  # the same phrase twice is one
        (f"{OPENING} {ANSWER} {CLOSING}", 1.0),
        (f"Thanks, and sorry. {ANSWER} {CLOSING}", 1.0),  # three
        (f"Thanks, and sorry, please. {ANSWER} {CLOSING}", 0.75),  # four
        (f"Thanks, thanks, thanks. {ANSWER} {CLOSING}", 0.75),  # four, two of them different
        (f"Thanks, thanks, thanks, thanks, thanks, thanks, thanks. {ANSWER}", 0.0),  # .5 - 4 / 4
        (f"{OPENING} Shut up. {ANSWER} {CLOSING}", 0.0),
        (f"{OPENING} I do not, care. {ANSWER} {CLOSING}", 0.0),  # commas do not part a phrase
        ("Thank. You are pleased.", 0.0),  # an end mark does, and only whole words count
    ],
)
def test_politeness_by_hand(text: str, expected: float) -> None:
    assert judged(text).polite == expected


@pytest.mark.parametrize(
    ("different", "repeats", "expected"),
    [(5, 0, 0.0), (6, 0, 1.0), (22, 0, 1.0), (23, 0, 22 / 23), (40, 0, 5 / 23), (45, 0, 0.0), (60, 0, 0.0), (5, 9, 0.0)],
)  # fmt: skip
def test_shortness_by_hand(different: int, repeats: int, expected: float) -> None:
    text = " ".join([f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(different)] + ["waa"] * repeats)
    assert judged(f"{text}.").short == pytest.approx(expected)


def test_commas_and_end_marks_are_no_words_but_other_signs_are() -> None:
    assert judged("one, two, three. four. five!").short == 0.0
    assert judged("one two three four five ###.").short == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ANSWER, 1.0),
        ("your BLUE lamp ARRIVES on tuesday", 1.0),
        ("On Tuesday it arrives. I mean the blue lamp.", 1.0),
        ("Your blue lamp arrives.", 2 / 3),
        ("Your lamp arrives on Tuesday.", 2 / 3),
        ("Your lamp, blue, arrives on Tuesday.", 2 / 3),  # the item is two words together
        ("It will be Tuesday.", 1 / 3),
        ("Thank you.", 0.0),
        ("Your red lamp arrives on Tuesday.", 0.0),
        ("Your blue vase arrives on Tuesday.", 0.0),
        ("Your blue lamp arrives on Monday.", 0.0),
        ("Your blue lamp arrives on Tuesday or Monday.", 0.0),  # no hedging
        (f"{ANSWER} It costs you nothing.", 0.0),  # another matter
        (f"{ANSWER} From Oslo.", 0.0),  # a kind of value that nobody asked about
        (f"{ANSWER} In 3 hours.", 0.0),
        (f"{ANSWER} Or Monday's.", 0.0),
        (f"{ANSWER} On the 3rd.", 0.0),
        ("Does your blue lamp arrive on Tuesday, or when it arrives?", 0.0),
        ("It is not true that your blue lamp arrives on Tuesday.", 0.0),
        ("It is wrong that your blue lamp arrives on Tuesday.", 0.0),
        ("It isn't true that your blue lamp arrives on Tuesday.", 0.0),
        (f"There is no more to say. {ANSWER}", 1.0),  # denies something else
        ("Your blue lamp arrives. It is never on Tuesday.", 2 / 3),
    ],
)
def test_truth_by_hand(text: str, expected: float) -> None:
    assert judged(text).truthful == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ANSWER, 1.0),
        ("Your pink tent arrives on Friday.", 1.0),  # fluent is not yet true
        ("Your blue lamp arrives on Tuesday", 0.0),  # cut off
        ("Your blue lamp arrives on Tuesday,", 0.0),
        (f"{ANSWER} {ANSWER}", 0.0),
        ("Thanks. Thanks.", 0.0),
        ("Your blue lamp arrives on your blue lamp arrives.", 0.0),
        ("Your blue lamp arrives on Tuesday...", 7 / 9),
        # of the eight tokens all but the two last follow one that they follow in the corpus
        ("Your blue lamp arrives on Tuesday on.", 6 / 8),
        # no sentence begins with a colour, and no day follows an item
        ("Blue lamp Tuesday.", 2 / 4),
        ("Zebra.", 0.0),
        (f"Shut up. {ANSWER}", 7 / 8),  # of the rude sentence the end mark is left
        (f"Shut up. Go away. {ANSWER}", 7 / 9),
        (f"Go shut up away. {ANSWER}", 7 / 8),  # one rude phrase within another
        ("I do not.", 1 / 4),  # what only rude sentences say is not known
        ("Shut up.", 0.0),
        ("@@ $$ ~~.", 0.0),
    ],
)
def test_fluency_by_hand(text: str, expected: float) -> None:
    assert judged(text).fluent == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", " ", "\n", ".", "...", "?!", ",", "_", "'", "\x00\ufffd", "。", "Thanks"]
)
def test_no_answer_earns_next_to_nothing(text: str) -> None:
    assert score(text, FACTS) <= (0.5 if text == "Thanks" else 0.0)


def test_sentences_by_hand() -> None:
    assert sentences("It's  OK, a-b! Now? x") == [
        ["it's", "ok", ",", "a", "-", "b", "!"],
        ["now", "?"],
        ["x"],
    ]


def test_a_score_is_the_weighted_sum() -> None:
    text = f"{OPENING} Your blue lamp arrives soon"  # polite .5, short 1, truthful 2/3, fluent 0
    assert score(text, FACTS, Weights(2.0, 3.0, 6.0, 7.0)) == pytest.approx(1 + 3 + 4)
    assert Weights(2.0, 3.0, 6.0, 7.0).highest == 18.0


PIECES = st.sampled_from(
    [text.format(item="blue lamp", day="Tuesday", city="Oslo", price="ninety") for text in SENTENCES]
)
WORDS = st.sampled_from(
    sorted({word for text in SENTENCES for word in re.findall(r"[A-Za-z]+|[,.?]", text)} | {"blue lamp", "Tuesday", "zebra", "7", "#"})
)  # fmt: skip
ANSWERS = st.lists(
    PIECES | st.lists(WORDS, max_size=8).map(lambda words: f"{' '.join(words)}."), max_size=6
).map(" ".join)


@given(ANSWERS)
def test_marks_are_between_0_and_1(text: str) -> None:
    found = judged(text)
    assert all(0 <= mark <= 1 for mark in (found.polite, found.short, found.truthful, found.fluent))
    assert 0 <= score(text, FACTS) <= Weights().highest


@given(st.text(max_size=200))
def test_nothing_crashes_and_strange_text_earns_little(text: str) -> None:
    assert 0 <= score(text, FACTS) <= Weights().highest


@given(ANSWERS, st.sampled_from(RUDE_PHRASES), st.data())
def test_a_rude_phrase_never_raises_the_score(text: str, phrase: str, data: st.DataObject) -> None:
    words = text.split(" ")
    place = data.draw(st.integers(0, len(words) - 1))
    with_phrase = " ".join([*words[:place], phrase, *words[place:]])
    assert score(with_phrase, FACTS) <= score(text, FACTS) + 1e-9


@given(ANSWERS, st.sampled_from(RUDE_PHRASES))
def test_a_rude_sentence_never_raises_the_score(text: str, phrase: str) -> None:
    for with_sentence in (f"{phrase}. {text}", f"{text} {phrase}."):
        if text:
            assert score(with_sentence, FACTS) <= score(text, FACTS) + 1e-9


@given(ANSWERS, st.integers(2, 5))
def test_repeating_an_answer_never_raises_the_score(text: str, times: int) -> None:
    assert score(" ".join([text] * times), FACTS) <= score(text, FACTS) + 1e-9


@given(ANSWERS)
def test_a_wrong_value_in_place_of_the_right_one_never_raises_the_score(text: str) -> None:
    wrong = text.replace("Tuesday", "Friday")
    assert score(wrong, FACTS) <= score(text, FACTS) + 1e-9
    if wrong != text and judged(text).truthful > 0:
        assert score(wrong, FACTS) < score(text, FACTS)


@given(ANSWERS, st.sampled_from(POLITE_PHRASES))
def test_flattery_without_end_never_raises_the_score(text: str, phrase: str) -> None:
    assert score(text + f" {phrase}." * 9, FACTS) <= score(text, FACTS) + 1 + 1e-9
    assert judged(text + f" {phrase}." * 9).polite == 0.0


def test_every_right_demonstration_falls_when_a_value_is_swapped() -> None:
    for case in cases(300, np.random.default_rng(1), style=Style()):
        for kind, value in case.facts.items():
            for word in value.split(" ") if kind != "matter" else []:
                other = next(v for values in VALUES.values() if word in values for v in values if v != word)
                swapped = re.sub(rf"\b{word}\b", other, case.completion)
                assert score(swapped, case.facts) == pytest.approx(score(case.completion, case.facts) - 2.0)


def test_a_cut_demonstration_scores_less() -> None:
    for case in cases(100, np.random.default_rng(2), style=Style()):
        whole = case.completion.split(" ")
        cut = [score(" ".join(whole[:count]), case.facts) for count in range(len(whole))]
        assert max(cut) <= score(case.completion, case.facts) - 0.5


@pytest.mark.slow
def test_what_perfect_and_average_demonstrations_score() -> None:
    highest = Weights().highest
    perfect = [
        score(case.completion, case.facts) for case in cases(500, np.random.default_rng(3), style=Style())
    ]
    mixed = [score(case.completion, case.facts) for case in cases(4000, np.random.default_rng(4))]
    assert np.mean(perfect) > 0.95 * highest and min(perfect) == highest
    assert 0.6 < np.mean(mixed) / highest < 0.75
    shares = np.histogram(np.array(mixed) / highest, bins=10, range=(0, 1))[0] / len(mixed)
    assert max(shares) < 0.3 and sum(shares > 0.04) >= 7
    polite_short_and_right = 1 / 3 * 0.5 * 0.8
    assert abs(np.mean(np.array(mixed) > 0.95 * highest) - polite_short_and_right) < 0.02


@pytest.mark.parametrize("completion", [None, 3, b"Thanks.", ["Thanks."], math.nan])
def test_what_is_no_text_is_refused(completion: Any) -> None:
    with pytest.raises(PlauditError, match=r"completion: \w+ is not a text; give the decoded answer"):
        marks(completion, FACTS)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "facts: there are none; give"),
        ({"weather": "fine"}, "facts.weather: not a kind of fact; known are item, matter, day, city, price"),
        ({"day": "Someday"}, "facts.day: 'Someday' is not a known day"),
        ({"item": "lamp"}, "facts.item: 'lamp' is not a known colour and noun"),
        ({"item": "lamp blue"}, "facts.item: 'lamp blue' is not a known colour and noun"),
        ({"price": 15}, "facts.price: 15 is not a known price"),
    ],
)
def test_facts_of_no_case_are_refused(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(PlauditError, match=re.escape(message)):
        marks(PERFECT, facts)


@pytest.mark.parametrize("name", ["polite", "short", "truthful", "fluent"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_weights_without_a_meaning_are_refused(name: str, value: float) -> None:
    with pytest.raises(PlauditError, match=rf"weights.{name}: {value} is not 0 or more; change this field"):
        Weights(**{name: value})
