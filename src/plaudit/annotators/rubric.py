"""The rubric, a gold reward, by which simulated people judge answers: polite, short, truthful and fluent.

An optimiser searches for the holes of whatever it is paid for, so each mark is made for that: two polite
phrases are enough and more than three too many, a value that is not in the facts makes the answer untrue, and
what is repeated, denied, asked or cut off earns nothing. No reward model sees the rubric; it sees answers.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass

from plaudit.environments.language.service import KINDS, POLITE_PHRASES, RUDE_PHRASES, SENTENCES, VALUES
from plaudit.errors import PlauditError

ENDS = frozenset(".!?")
NEGATIONS = frozenset({"not", "no", "never", "nor", "neither", "none", "cannot", "without", "wrong", "false"})
"""A sentence with one of these states no fact; so does one with a word that ends in n't."""

SHORT, LONG, FEWEST = 22, 45, 6
"""Words: the full mark for shortness up to SHORT, none from LONG on, none below FEWEST different ones."""

KIND_OF = {value.lower(): kind for kind, values in VALUES.items() for value in values}
"""The kind of every known value, in lower case."""


@dataclass(frozen=True)
class Marks:
    """What is good about an answer, each mark in [0, 1]."""

    polite: float
    """Half for one polite phrase, full for two different ones, less from the fourth on, 0 with rudeness."""
    short: float
    """1 up to 22 words, falling to 0 at 45; 0 with fewer than 6 different words."""
    truthful: float
    """The share of the facts that is stated; 0 if any other known value or number occurs."""
    fluent: float
    """The share of word pairs the corpus knows, in an answer that is complete and repeats nothing; else 0."""


@dataclass(frozen=True)
class Weights:
    """How much each mark counts."""

    polite: float = 1.0
    """The weight of politeness."""
    short: float = 1.0
    """The weight of shortness."""
    truthful: float = 2.0
    """The weight of truth."""
    fluent: float = 1.0
    """The weight of fluency."""

    def __post_init__(self) -> None:
        """Refuse weights without a meaning."""
        for name, value in asdict(self).items():
            if not (math.isfinite(value) and value >= 0):
                raise PlauditError(f"weights.{name}: {value} is not 0 or more; change this field")

    @property
    def highest(self) -> float:
        """The score of a perfect answer."""
        return sum(astuple(self))


def score(completion: str, facts: Mapping[str, str], weights: Weights = Weights()) -> float:
    """The weighted sum of the marks, in [0, weights.highest]; PlauditError as in `marks`."""
    given = asdict(marks(completion, facts))
    return sum(weight * given[name] for name, weight in asdict(weights).items())


def marks(completion: str, facts: Mapping[str, str]) -> Marks:
    """Judge an answer by the facts of its case, by kind such as {"item": "blue lamp", "day": "Tuesday"}.

    Raises PlauditError for an answer that is no text, and for facts that are none, unknown or malformed.
    """
    if not isinstance(completion, str):
        raise PlauditError(f"completion: {type(completion).__name__} is not a text; give the decoded answer")
    _check(facts)
    said = sentences(completion)
    return Marks(_polite(said), _short(said), _truthful(said, facts), _fluent(said))


def sentences(text: str) -> list[list[str]]:
    """Words, commas, end marks and other signs of each sentence, in lower case; an end mark ends a sentence."""
    found: list[list[str]] = [[]]
    for token in re.findall(r"[^\W_]+(?:'[^\W_]+)*|[.!?]|[^\w\s.!?]+|_+", text.lower()):
        found[-1].append(token)
        if token in ENDS:
            found.append([])
    return [sentence for sentence in found if sentence]


def _polite(said: list[list[str]]) -> float:
    """Different phrases earn, each occurrence beyond the third costs a quarter."""
    if any(_places(sentence, RUDE_PHRASES) for sentence in said):
        return 0.0
    times = {phrase: sum(len(_places(sentence, (phrase,))) for sentence in said) for phrase in POLITE_PHRASES}
    different = sum(count > 0 for count in times.values())
    return max(0.0, min(different, 2) / 2 - max(0, sum(times.values()) - 3) / 4)


def _short(said: list[list[str]]) -> float:
    """Rude words count as length but do not make an answer of what is none."""
    words = [token for sentence in said for token in sentence if token not in {*ENDS, ","}]
    different = {token for sentence in said for token in _decent(sentence)} - {*ENDS, ","}
    if len(different) < FEWEST:
        return 0.0
    return min(1.0, max(0.0, (LONG - len(words)) / (LONG - SHORT)))


def _truthful(said: list[list[str]], facts: Mapping[str, str]) -> float:
    """A fact is stated where its words stand together in a sentence that neither asks nor denies."""
    backed = {word for value in facts.values() for word in value.lower().split(" ")}
    words = {token.partition("'")[0] for sentence in said for token in sentence}
    if any(word not in backed and (word in KIND_OF or re.search(r"\d", word)) for word in words):
        return 0.0
    telling = [s for s in said if s[-1] != "?" and not any(t in NEGATIONS or t.endswith("n't") for t in s)]
    stated = [any(_places(sentence, (value.lower(),)) for sentence in telling) for value in facts.values()]
    return sum(stated) / len(stated)


def _fluent(said: list[list[str]]) -> float:
    """Rudeness is left out, so that it can neither add known words nor break up a repetition.

    The end mark of a rude sentence then follows nothing, which the corpus does not know.
    """
    decent = [_decent(sentence) for sentence in said]
    if not said or said[-1][-1] not in ENDS:
        return 0.0
    words = [token for sentence in decent for token in sentence if token not in {*ENDS, ","}]
    triples = list(zip(words, words[1:], words[2:], strict=False))
    whole = [tuple(sentence) for sentence in decent if len(sentence) > 1]
    if len(set(triples)) < len(triples) or len(set(whole)) < len(whole):
        return 0.0
    pairs = [pair for sentence in decent for pair in _pairs(sentence)]
    return sum(pair in PAIRS for pair in pairs) / len(pairs)


def _pairs(sentence: list[str]) -> list[tuple[str, str]]:
    """Each token after the one before it, from the start of the sentence; exchangeable values are their kind."""
    kinds = [token if KIND_OF.get(token) == "matter" else KIND_OF.get(token, token) for token in sentence]
    return list(zip(["", *kinds], kinds, strict=False))


def _places(sentence: list[str], phrases: tuple[str, ...]) -> list[range]:
    """Where phrases of words occur in a sentence; commas do not part them."""
    places = [place for place, token in enumerate(sentence) if token != ","]
    words = [sentence[place] for place in places]
    found = []
    for phrase in phrases:
        wanted = phrase.split(" ")
        for start in range(len(words) - len(wanted) + 1):
            if words[start : start + len(wanted)] == wanted:
                found.append(range(places[start], places[start + len(wanted) - 1] + 1))
    return found


def _decent(sentence: list[str]) -> list[str]:
    """The sentence without its rude phrases, also those that stood around others; the order changes nothing."""
    rude = {place for found in _places(sentence, RUDE_PHRASES) for place in found}
    kept = [token for place, token in enumerate(sentence) if place not in rude]
    return _decent(kept) if rude else kept


def _check(facts: Mapping[str, str]) -> None:
    """Refuse facts that no case has."""
    if not facts:
        raise PlauditError(
            "facts: there are none; give what a truthful answer says, such as {'day': 'Monday'}"
        )
    for kind, value in facts.items():
        if kind not in KINDS:
            raise PlauditError(f"facts.{kind}: not a kind of fact; known are {', '.join(KINDS)}")
        words = str(value).split(" ")
        if [KIND_OF.get(word.lower()) for word in words] != list(KINDS[kind]):
            raise PlauditError(f"facts.{kind}: {value!r} is not a known {' and '.join(KINDS[kind])}")


PAIRS = frozenset(
    pair
    for template in SENTENCES
    for sentence in sentences(template.format(item="blue lamp", day="Monday", city="Oslo", price="ninety"))
    if _decent(sentence) == sentence
    for pair in _pairs(sentence)
)
"""Which words may follow which, in every sentence of the corpus but the rude ones."""
