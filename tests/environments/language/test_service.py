"""The corpus of service dialogues, read back by its words: size, split, and the mixture of styles."""

import re

import numpy as np
import pytest

from plaudit.environments.language.service import (
    CLOSINGS,
    DETAILS,
    GUSHES,
    OPENINGS,
    PLAIN,
    POLITE_PHRASES,
    RAMBLINGS,
    RUDE_PHRASES,
    SENTENCES,
    TOPICS,
    VALUES,
    ServiceCase,
    Style,
    cases,
    is_held_out,
)
from plaudit.errors import PlauditError

ORDER = re.compile(
    r"Order: the (?P<item>\w+ \w+) "
    r"(waits in (?P<waits>\w+)|arrives on (?P<arrives>\w+)|may come back until (?P<until>\w+)"
    r"|costs (?P<costs>\w+) dollars|has a refund of (?P<refund>\w+) dollars"
    r"|is broken, new one on (?P<new>\w+)|goes to (?P<goes>\w+)), [a-z ]+\.\n"
    r"Customer: [^\n]+[.?]\nClerk:"
)
KIND = {
    "waits": "city", "goes": "city", "arrives": "day", "until": "day", "new": "day", "costs": "price",
    "refund": "price",
}  # fmt: skip


def draw(count: int, seed: int = 0, held_out: bool = False, style: Style | None = None) -> list[ServiceCase]:
    return cases(count, np.random.default_rng(seed), held_out, style)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def parts(text: str) -> list[str]:
    """The sentences of an answer."""
    return re.findall(r"[^.?]+[.?]", text)


def mistakes(case: ServiceCase) -> list[tuple[str, str]]:
    """(kind, value) of known values that the answer names and the facts do not back."""
    right = {word for value in case.facts.values() for word in value.split(" ")}
    kind_of = {value: kind for kind, values in VALUES.items() for value in values}
    return [(kind_of[word], word) for word in words(case.completion) if word in kind_of and word not in right]


def test_a_prompt_states_its_facts_and_repeats_the_item() -> None:
    for case in draw(500):
        found = ORDER.fullmatch(case.prompt)
        assert found, case.prompt
        (matter,) = [name for name in KIND if found[name]]
        assert case.facts == {"item": found["item"], "matter": matter, KIND[matter]: found[matter]}
        assert case.prompt.count(found["item"]) == 2


def test_there_are_enough_of_everything() -> None:
    assert len(TOPICS) >= 5 and min(len(topic.questions) for topic in TOPICS) >= 3
    assert len(VALUES["noun"]) >= 12 and len(VALUES["colour"]) == 8 and len(VALUES["day"]) == 7
    assert len({case.prompt for case in draw(6000)}) > 5000


def test_training_and_held_out_cases_share_no_combination_whatever_the_seed() -> None:
    training, held_out = draw(5000, 0), draw(5000, 1, held_out=True)
    combinations = [{tuple(case.facts.items()) for case in part} for part in (training, held_out)]
    assert not combinations[0] & combinations[1]
    assert not {case.prompt for case in training} & {case.prompt for case in held_out}


@pytest.mark.parametrize("held_out", [False, True])
def test_every_value_question_and_detail_occurs_on_both_sides(held_out: bool) -> None:
    text = "\n".join(case.prompt + case.completion for case in draw(3000, 2, held_out))
    for value in [value for values in VALUES.values() for value in values] + [*DETAILS]:
        assert re.search(rf"\b{value}\b", text), value
    for topic in TOPICS:
        for question in topic.questions:
            assert re.search(re.escape(question).replace(r"\{item\}", r"\w+ \w+"), text), question


def test_about_fifteen_percent_of_all_combinations_are_held_out() -> None:
    split = [
        is_held_out(topic.matter, {"colour": colour, "noun": noun, topic.kind: value})
        for topic in TOPICS
        for colour in VALUES["colour"]
        for noun in VALUES["noun"]
        for value in VALUES[topic.kind]
    ]
    assert len(split) == 8 * 14 * (3 * 7 + 2 * 8 + 2 * 8)
    assert abs(np.mean(split) - 0.15) < 5 * np.sqrt(0.15 * 0.85 / len(split))


@pytest.mark.parametrize(
    ("text", "rest"),
    [("waits/Oslo/red/lamp", 6), ("until/black/Sunday/clock", 14), ("until/blue/Saturday/radio", 15), ("arrives/black/Friday/sofa", 16), ("arrives/red/Friday/bag", 86)],
)  # fmt: skip
def test_the_split_is_the_same_on_every_machine(text: str, rest: int) -> None:
    # rest: by `printf text | sha256sum`, the first 16 digits as a number, modulo 100
    kind_of = {value: kind for kind, values in VALUES.items() for value in values}
    matter, *values = text.split("/")
    assert is_held_out(matter, {kind_of[value]: value for value in reversed(values)}) == (rest < 15)


def test_the_seed_alone_decides() -> None:
    assert draw(50, 3) == draw(50, 3)
    assert draw(50, 3) != draw(50, 4)
    assert draw(50, 3)[:20] == draw(20, 3)


@pytest.mark.parametrize("politeness", ["rude", "neutral", "polite"])
@pytest.mark.parametrize("rambling", [False, True])
@pytest.mark.parametrize("wrong", [False, True])
def test_a_demonstration_has_its_style(politeness, rambling: bool, wrong: bool) -> None:
    for case in draw(200, 5, style=Style(politeness, rambling, wrong)):
        said = parts(case.completion.lower().replace(",", ""))
        polite = [phrase for text in said for phrase in POLITE_PHRASES if phrase in text]
        rude = [phrase for text in said for phrase in RUDE_PHRASES if phrase in text]
        assert bool(rude) == (politeness == "rude")
        assert len(polite) == {"rude": 0, "neutral": 0, "polite": 5 if rambling else 2}[politeness]
        assert len(set(polite)) >= min(2, len(polite))
        length = len(case.completion.split())
        assert 30 <= length <= 45 if rambling else 14 <= length <= 22, case.completion
        assert len([text for text in said if text.strip(" .?") not in RUDE_PHRASES]) == (
            {"rude": 2, "neutral": 5, "polite": 5}[politeness] if rambling else {"rude": 1}.get(politeness, 3)
        )
        assert len(mistakes(case)) == wrong


def test_the_facts_stand_anywhere_between_opening_and_closing() -> None:
    drawn = draw(300, 11, style=Style("polite", True, False))
    places = [[case.facts["item"] in text for text in parts(case.completion)].index(True) for case in drawn]
    assert {*places} == {1, 2, 3}


def test_a_plain_answer_is_one_right_sentence() -> None:
    for case in draw(300, 6, style=PLAIN):
        assert not mistakes(case)
        assert len(parts(case.completion)) == 1 and 5 <= len(case.completion.split()) <= 9
        for value in case.facts.values():
            assert re.search(rf"\b{value}\b", case.completion)


def test_a_mistake_is_one_word_of_the_item_or_the_other_fact() -> None:
    drawn = draw(2000, 7, style=Style("polite", False, True))
    kinds = [mistakes(case)[0][0] for case in drawn]
    share = {kind: kinds.count(kind) / len(kinds) for kind in {*kinds}}
    assert "matter" not in share
    assert abs(share["colour"] - 0.25) < 0.05 and abs(share["noun"] - 0.25) < 0.05
    assert abs(share["day"] + share["city"] + share["price"] - 0.5) < 0.06
    for case, kind in zip(drawn, kinds, strict=True):
        assert kind in ("colour", "noun") or kind in case.facts


def test_the_mixture_has_its_shares_and_they_are_independent() -> None:
    drawn = draw(6000, 8)
    lower = [case.completion.lower().replace(",", "") for case in drawn]
    rude = np.array([any(phrase in text for phrase in RUDE_PHRASES) for text in lower])
    polite = np.array([any(phrase in text for phrase in POLITE_PHRASES) for text in lower])
    rambling = np.array([len(text.split()) >= 30 for text in lower])
    wrong = np.array([bool(mistakes(case)) for case in drawn])
    expected = [
        (rude, 1 / 3), (polite, 1 / 3), (~rude & ~polite, 1 / 3), (rambling, 0.5), (wrong, 0.2),
        (rude & rambling, 1 / 6), (polite & wrong, 1 / 15), (rambling & wrong, 0.1),
        (polite & ~rambling & ~wrong, 2 / 15),
    ]  # fmt: skip
    for found, share in expected:
        assert abs(found.mean() - share) < 5 * np.sqrt(share * (1 - share) / len(drawn))


def test_texts_are_plain_ascii_of_the_promised_length() -> None:
    for case in draw(1000, 9):
        assert (case.prompt + case.completion).isascii()
        assert not set("{}") & set(case.prompt + case.completion)
        assert case.completion.startswith(" ") and case.completion[1:] == " ".join(case.completion.split())
        assert case.completion[-1] in ".?" and "\n" not in case.completion
        assert 14 <= len(case.prompt.split()) <= 26


def test_a_known_value_is_one_word_and_used_for_nothing_else() -> None:
    known = [value for values in VALUES.values() for value in values]
    assert len(known) == len({value.lower() for value in known})
    assert all(re.fullmatch(r"[A-Za-z]+", value) for value in known)
    fixed = [*RAMBLINGS, *GUSHES.values()]
    fixed += [text for group in (*OPENINGS.values(), *CLOSINGS.values()) for text in group]
    for text in fixed:
        assert not {*words(text.lower())} & {value.lower() for value in known}, text
    for topic in TOPICS:
        for text in (*topic.answers, topic.status):
            said = words(re.sub(r"\{\w+\}", "", text).lower())
            assert [word for word in said if word in {value.lower() for value in known}] == [topic.matter], (
                text
            )


def test_sentences_holds_all_that_is_said() -> None:
    patterns = [
        re.sub(r"\\\{\w+\\\}", r"[A-Za-z ]+?", re.escape(part.strip()))
        for text in SENTENCES
        for part in parts(text)
    ]
    for text in {text.strip() for case in draw(1500, 10) for text in parts(case.completion)}:
        assert any(re.fullmatch(pattern, text) for pattern in patterns), text


def test_a_sentence_is_one_rude_phrase_or_has_none() -> None:
    said = {part.strip(" .?").lower() for text in SENTENCES for part in parts(text)}
    assert said >= {*RUDE_PHRASES} - {"stupid"}
    for text in said - {*RUDE_PHRASES}:
        assert not [phrase for phrase in RUDE_PHRASES if phrase in text]


def test_rude_phrases_do_not_overlap() -> None:
    # what is left of a text without them then does not depend on the order in which they are taken out
    for first in RUDE_PHRASES:
        for second in RUDE_PHRASES:
            assert first == second or f" {first} " not in f" {second} "
            ends = {" ".join(first.split()[i:]) for i in range(1, len(first.split()))}
            starts = {" ".join(second.split()[:i]) for i in range(1, len(second.split()))}
            assert not ends & starts, (first, second)


def test_a_negative_count_is_refused() -> None:
    assert draw(0) == []
    with pytest.raises(PlauditError, match="cases: -1 cases are asked for; ask for 0 or more"):
        draw(-1)
