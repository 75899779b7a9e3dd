"""Texts of dialogues, plain or as messages: checked where they are read, and parted into a prompt and its answers."""

import re
from collections.abc import Sequence
from typing import Any

from plaudit.errors import PlauditError

Message = dict[str, str]
"""`role` and `content`."""
Text = str | tuple[Message, ...]
"""Plain, or as messages."""

TURN = "\n\nAssistant:"
"""What stands before each of the assistant's turns in the plain dialogues of the HH data (Bai et al. 2022)."""
SPEAKERS = re.compile(r"(?:^\n*|\n\n)(Human|Assistant):")
"""What stands before each turn of such a dialogue."""
AGREE = "give both as text, or both as lists of messages"


def as_text(value: object, name: str, where: str) -> Text:
    """The text or the messages of one field; of a message only `role` and `content` are kept."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise PlauditError(
            f"{where}: `{name}` is {_kind(value)}; give text, or a list of messages with `role` and `content`"
        )
    if not value:
        raise PlauditError(f"{where}: `{name}` is a list without a message; mend or drop the row")
    return tuple(_message(item, f"{name}[{i}]", where) for i, item in enumerate(value))


def _message(value: object, name: str, where: str) -> Message:
    if not isinstance(value, dict):
        raise PlauditError(f"{where}: `{name}` is {_kind(value)}, not a message; give `role` and `content`")
    for key in ("role", "content"):
        if not isinstance(value.get(key), str) or (key == "role" and not value[key].strip()):
            found = repr(value[key]) if isinstance(value.get(key), str) else _kind(value.get(key))
            raise PlauditError(
                f"{where}: `{name}.{key}` is {found}; each message has `role` and `content`, both text"
            )
    return {"role": value["role"], "content": value["content"]}


def _kind(value: object) -> str:
    return "missing" if value is None else f"of type {type(value).__name__}"


def refuse_blank(text: Text, name: str, where: str) -> None:
    """Raise PlauditError where the text, or its last message, is empty or white space alone."""
    field, last = _last(text, name)
    if not last.strip():
        raise PlauditError(f"{where}: `{field}` is empty or white space alone; mend or drop the row")


def is_empty(text: Text) -> bool:
    """Whether the text, or every one of its messages, has not a single character."""
    return not (text if isinstance(text, str) else "".join(message["content"] for message in text))


def refuse_empty(text: Text, name: str, where: str) -> None:
    """Raise PlauditError where the text, or its last message, has not a single character."""
    field, last = _last(text, name)
    if not last:
        raise PlauditError(f"{where}: `{field}` is empty; mend or drop the row")


def _last(text: Text, name: str) -> tuple[str, str]:
    """The text or its last message, behind the name of its field."""
    return (
        (name, text) if isinstance(text, str) else (f"{name}[{len(text) - 1}].content", text[-1]["content"])
    )


def check_answer(prompt: Text, answer: Text, name: str, where: str) -> None:
    """Raise PlauditError where an answer is no answer to this prompt: of another form, or not the assistant's turns."""
    if isinstance(answer, str) or isinstance(prompt, str):
        if type(answer) is not type(prompt):
            of_prompt, of_answer = ("text" if isinstance(t, str) else "messages" for t in (prompt, answer))
            raise PlauditError(f"{where}: `prompt` is {of_prompt} but `{name}` is {of_answer}; {AGREE}")
        return
    for message, place in ((answer[0], "begins"), (answer[-1], "ends")):
        if message["role"] != "assistant":
            raise PlauditError(
                f"{where}: `{name}` {place} with a message of the role {message['role']!r}, not assistant; give "
                "the turns of the answer alone, or whole dialogues without a `prompt`"
            )


def part_last(messages: Text, name: str, where: str) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """A dialogue as the messages before its last one, and the last one, which must be the assistant's."""
    if isinstance(messages, str):
        raise PlauditError(f"{where}: `{name}` is text; give a list of messages with `role` and `content`")
    if messages[-1]["role"] != "assistant":
        raise PlauditError(
            f"{where}: `{name}` ends with a message of the role {messages[-1]['role']!r}; the last one is the "
            "answer to learn, so its role must be assistant"
        )
    if len(messages) == 1:
        raise PlauditError(f"{where}: `{name}` has nothing before the answer; add the message it answers")
    return messages[:-1], messages[-1:]


def part_shared(chosen: Text, rejected: Text, where: str) -> tuple[Text, Text, Text]:
    """The prompt that two whole dialogues share, and what each goes on with.

    Plain: the prompt ends with the last TURN within the common beginning. Messages: it is the longest common list of
    leading messages after which both go on with the assistant's. Raises PlauditError where there is no such place.
    """
    if isinstance(chosen, str) and isinstance(rejected, str):
        start = chosen[: _common(chosen, rejected)].rfind(TURN)
        if start < 0:
            raise PlauditError(
                f"{where}: there is no `prompt`, and `chosen` and `rejected` share no {TURN!r} that would end it; "
                "add a column `prompt`"
            )
        cut = start + len(TURN)
    elif isinstance(chosen, tuple) and isinstance(rejected, tuple):
        cut = _before_answers(chosen, rejected)
        if not cut:
            raise PlauditError(
                f"{where}: there is no `prompt`, and `chosen` and `rejected` share no first messages that the "
                "assistant answers in both; add a column `prompt`"
            )
    else:
        raise PlauditError(f"{where}: of `chosen` and `rejected`, one is text and one is messages; {AGREE}")
    for name, text in (("chosen", chosen), ("rejected", rejected)):
        if not text[cut:]:
            raise PlauditError(f"{where}: `{name}` ends where its answer should begin; mend or drop the row")
    return chosen[:cut], chosen[cut:], rejected[cut:]


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many leading items are equal."""
    unequal = (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(unequal, min(len(one), len(other)))


def _before_answers(chosen: Sequence[Message], rejected: Sequence[Message]) -> int:
    """How many leading messages are the prompt; 0: there is none."""
    last = min(_common(chosen, rejected), len(chosen) - 1, len(rejected) - 1)
    answered = (i for i in range(last, 0, -1) if chosen[i]["role"] == rejected[i]["role"] == "assistant")
    return next(answered, 0)


def restates(prompt: Text, dialogue: Text) -> bool:
    """Whether a plain prompt stands as a message, before the last, in a dialogue of messages."""
    if not isinstance(prompt, str) or isinstance(dialogue, str):
        return False
    return any(message["content"].strip() == prompt.strip() for message in dialogue[:-1])


def turns_of(text: str) -> list[Message]:
    """The turns of a plain dialogue of the HH data, each without its speaker and the white space around it.

    What comes before the first speaker is the assistant's, as an answer goes on with its turn. A last turn without a
    word, which is still to be spoken, is left out.
    """
    parts = SPEAKERS.split(text)
    roles = ["assistant", *("user" if name == "Human" else "assistant" for name in parts[1::2])]
    turns = [{"role": role, "content": part.strip()} for role, part in zip(roles, parts[::2], strict=True)]
    edges = (0, len(turns) - 1)
    return [turn for place, turn in enumerate(turns) if turn["content"] or place not in edges]


def is_dialogue(text: str) -> bool:
    """Whether a plain text is a dialogue of the HH data: it begins with a speaker."""
    return SPEAKERS.match(text) is not None
