"""A small made-up corpus: customers ask about their orders, and clerks of mixed manners answer.

A small language model can be made from it in a minute or two. A prompt is an order line with an item and one
more fact, and a question; a truthful answer copies them. Demonstrations are a mixture: some clerks are rude,
some ramble, some get a fact wrong, so that an optimiser has something to gain.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from plaudit.errors import PlauditError

_T = TypeVar("_T")

Politeness = Literal["plain", "rude", "neutral", "polite"]
"""The manner of a clerk; plain: the facts alone, without opening and closing."""

VALUES: dict[str, tuple[str, ...]] = {
    "colour": ("black", "blue", "brown", "green", "pink", "red", "white", "yellow"),
    "noun": (
        "bag", "bike", "carpet", "chair", "clock", "jacket", "kettle", "lamp", "mirror", "radio", "sofa", "table",
        "tent", "vase",
    ),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "city": ("Boston", "Cairo", "Delhi", "Lima", "Madrid", "Oslo", "Paris", "Vienna"),
    "matter": ("arrives", "costs", "goes", "new", "refund", "until", "waits"),
    "price": ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
}  # fmt: skip
"""Every value of every kind, one word each and used for nothing else.

An item is a colour and a noun; prices are in dollars; the matter is what an answer says of the item: a clerk
who says that the lamp arrives on the day until which it can be returned does not tell the truth.
"""

KINDS = {
    "item": ("colour", "noun"),
    "matter": ("matter",),
    "day": ("day",),
    "city": ("city",),
    "price": ("price",),
}
"""The kinds of fact a case has, and the kinds of value each is made of, in order."""

POLITE_PHRASES = (
    "thank you", "thanks", "please", "sorry", "glad to help", "happy to help", "welcome", "kindly", "apologies",
    "apologise",
)  # fmt: skip
"""What makes an answer polite, in lower case."""

RUDE_PHRASES = (
    "what do you want", "stop asking me", "i do not care", "not you again", "go away", "leave me alone",
    "your own fault", "not my problem", "read it yourself", "people like you", "such a bore", "how boring", "shut up",
    "stupid", "idiot",
)  # fmt: skip
"""What makes an answer rude, in lower case; none begins with what another ends with or is part of another."""


@dataclass(frozen=True)
class Topic:
    """One kind of question and how it is answered."""

    matter: str
    """The word by which the order line and every right answer say what it is about."""
    kind: str
    """The kind of the fact besides the item."""
    status: str
    """How the order line states that fact."""
    questions: tuple[str, ...]
    """What the customer says; {item} stands for the item."""
    answers: tuple[str, ...]
    """Sentences with all facts."""


TOPICS = (
    Topic(
        "waits", "city", "waits in {city}",
        ("Where is my {item}?", "I cannot find my {item}.", "Do you know where my {item} is?"),
        ("Your {item} waits in {city}.", "We see that the {item} waits in {city}.",
         "Right now your {item} waits in {city}."),
    ),
    Topic(
        "arrives", "day", "arrives on {day}",
        ("When will I get my {item}?", "When can I have my {item}?", "Is my {item} on its way?"),
        ("Your {item} arrives on {day}.", "We see that the {item} arrives on {day}.",
         "I am sure your {item} arrives on {day}."),
    ),
    Topic(
        "until", "day", "may come back until {day}",
        ("Can I return my {item}?", "I do not like my {item}.", "May I send my {item} back?"),
        ("You can return your {item} until {day}.", "We take the {item} back until {day}.",
         "The {item} may come back until {day}."),
    ),
    Topic(
        "costs", "price", "costs {price} dollars",
        ("I was charged too much for my {item}.", "What is the right price of my {item}?",
         "The bill for my {item} is wrong."),
        ("Your {item} costs {price} dollars.", "In our books the {item} costs {price} dollars.",
         "We see that your {item} costs {price} dollars."),
    ),
    Topic(
        "refund", "price", "has a refund of {price} dollars",
        ("I sent back my {item}. Where is my money?", "How much do I get for my {item}?",
         "Can I have the money for my {item}?"),
        ("Your {item} has a refund of {price} dollars.", "The refund for your {item} is {price} dollars.",
         "The {item} has a refund of {price} dollars."),
    ),
    Topic(
        "new", "day", "is broken, new one on {day}",
        ("My {item} is broken.", "My {item} came in pieces.", "My {item} does not work."),
        ("A new {item} comes on {day}.", "We bring you a new {item} on {day}.", "Your new {item} leaves us on {day}."),
    ),
    Topic(
        "goes", "city", "goes to {city}",
        ("I moved. Where do you send my {item}?", "Do you have my address for my {item}?",
         "Please change the address for my {item}."),
        ("Your {item} goes to {city}.", "I am sure the {item} goes to {city}.",
         "By our books the {item} goes to {city}."),
    ),
)  # fmt: skip

DETAILS = ("paid by card", "sent by post", "one piece", "with a gift card")
"""How an order line ends; nobody asks about it."""

OPENINGS: dict[Politeness, tuple[str, ...]] = {
    "rude": ("What do you want? Shut up.", "Not you again. Go away.", "Stop asking me. How boring.",
             "I do not care. Leave me alone."),
    "neutral": ("I looked at the order.", "Here is what I see.", "It is in the list.", "One moment, here it is."),
    "polite": ("Thank you for asking us.", "Thanks for your question.", "Sorry for the trouble.",
               "We are sorry about this."),
}  # fmt: skip
"""How a clerk begins; a polite opening has one polite phrase, a rude one is nothing but rude phrases."""

CLOSINGS: dict[Politeness, tuple[str, ...]] = {
    "rude": ("Read it yourself. Idiot.", "Your own fault. Not my problem.", "Go away. Stop asking me.",
             "Leave me alone. Shut up."),
    "neutral": ("That is all I can see.", "This is what the list says.", "You can ask again any day.",
                "There is no more to say."),
    "polite": ("Please write again at any time.", "We are always glad to help.", "I am happy to help you.",
               "Please tell us if you need more."),
}  # fmt: skip
"""How a clerk ends; a polite closing has one polite phrase, and never that of an opening."""

RAMBLINGS = (
    "Our store has many rooms, and every room is full of boxes.",
    "It rained all of last week, and the roads were very slow.",
    "I sit near the door, so I hear all the cars outside.",
    "Some people write in the morning, and others write late at night.",
    "We moved to a bigger house, which took a lot of work.",
    "My brother works here too, and he says it gets longer.",
)
"""Sentences beside the point, in every manner."""

GUSHES: dict[Politeness, str] = {
    "rude": "People like you. Such a bore. Read it yourself.",
    "neutral": "Every order has a line, and every line has its number.",
    "polite": "Thank you again, sorry again, and you are always welcome here.",
}
"""What a clerk who rambles adds in each manner; the polite one overdoes it, which is not politeness any more."""

SENTENCES = (
    *(sentence for topic in TOPICS for sentence in topic.answers),
    *(sentence for group in (*OPENINGS.values(), *CLOSINGS.values()) for sentence in group),
    *RAMBLINGS,
    *GUSHES.values(),
)
"""Every sentence a clerk says, with {item}, {day}, {city} and {price} for the values."""

HELD_OUT_PERCENT = 15
"""How many of a hundred combinations of topic and values are kept for evaluation."""


@dataclass(frozen=True)
class Style:
    """How one clerk answers."""

    politeness: Politeness = "polite"
    """The manner of the opening and the closing; plain clerks have neither, and never ramble."""
    rambling: bool = False
    """Whether there are sentences beside the point."""
    wrong: bool = False
    """Whether one fact is replaced by another of its kind."""


PLAIN = Style("plain")
"""Right answers and nothing else: texts to pretrain on, from which copying the facts is learned quickly."""


@dataclass(frozen=True)
class ServiceCase:
    """A prompt, what is true about it, and one demonstration."""

    prompt: str
    """The order line, the question and "Clerk:"."""
    facts: dict[str, str]
    """What a truthful answer says, by kind: item, matter and one more; any other known value is untrue."""
    completion: str
    """What one clerk said: a leading space, whole sentences and no end marker."""


def cases(
    count: int, generator: np.random.Generator, held_out: bool = False, style: Style | None = None
) -> list[ServiceCase]:
    """Draw `count` cases, each with one demonstration in the given style, or of the mixture of styles.

    A fixed hash keeps about 15 % of the combinations of topic and values for evaluation: with `held_out` the
    cases are drawn from these, else from the others, whatever the seed. For pretraining take the prompts and
    completions of cases in the style PLAIN. Raises PlauditError for a negative count.
    """
    if count < 0:
        raise PlauditError(f"cases: {count} cases are asked for; ask for 0 or more")
    drawn = []
    while len(drawn) < count:
        topic = _one(TOPICS, generator)
        values = {kind: _one(VALUES[kind], generator) for kind in ("colour", "noun", topic.kind)}
        if is_held_out(topic.matter, values) != held_out:
            continue
        item = f"{values['colour']} {values['noun']}"
        facts = {"item": item, "matter": topic.matter, topic.kind: values[topic.kind]}
        order = f"Order: the {item} {topic.status.format(**facts)}, {_one(DETAILS, generator)}."
        question = _one(topic.questions, generator).format(**facts)
        completion = demonstrate(topic, facts, style or draw_style(generator), generator)
        drawn.append(ServiceCase(f"{order}\nCustomer: {question}\nClerk:", facts, completion))
    return drawn


def is_held_out(topic: str, values: dict[str, str]) -> bool:
    """Whether a combination of a topic and values by kind is kept for evaluation; the same on every machine."""
    text = "/".join([topic, *(values[kind] for kind in sorted(values))])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 100 < HELD_OUT_PERCENT


def draw_style(generator: np.random.Generator) -> Style:
    """A clerk: rude, neutral or polite, a third each; rambling 50 %; one fact wrong 20 %; independently."""
    politeness: Politeness = _one(("rude", "neutral", "polite"), generator)
    return Style(politeness, bool(generator.random() < 0.5), bool(generator.random() < 0.2))


def demonstrate(topic: Topic, facts: dict[str, str], style: Style, generator: np.random.Generator) -> str:
    """One answer of a clerk, with a leading space: 14 to 22 words, 30 to 45 when rambling, 5 to 9 when plain."""
    said = _with_mistake(facts, generator) if style.wrong else facts
    middle = [_one(topic.answers, generator).format(**said)]
    if style.politeness == "plain":
        return f" {middle[0]}"
    if style.rambling:
        middle += [_one(RAMBLINGS, generator), GUSHES[style.politeness]]
        middle = [middle[i] for i in generator.permutation(len(middle))]
    opening, closing = OPENINGS[style.politeness], CLOSINGS[style.politeness]
    return " " + " ".join([_one(opening, generator), *middle, _one(closing, generator)])


def _with_mistake(facts: dict[str, str], generator: np.random.Generator) -> dict[str, str]:
    """The facts with one word of one of them replaced by another value of its kind."""
    kind = _one(tuple(kind for kind in facts if kind != "matter"), generator)
    words = facts[kind].split(" ")
    place = int(generator.integers(len(words)))
    others = tuple(value for value in VALUES[KINDS[kind][place]] if value != words[place])
    words[place] = _one(others, generator)
    return {**facts, kind: " ".join(words)}


def _one(options: tuple[_T, ...], generator: np.random.Generator) -> _T:
    """One of the options, each as likely."""
    return options[int(generator.integers(len(options)))]
