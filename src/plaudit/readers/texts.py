"""Text people have: pairs of answers, prompts and demonstrations, in the columns they already use; and raw text.

A text is plain, or a list of messages with `role` and `content`. Rows come from JSON lines, JSON or CSV (see `lines`).
Texts are kept as they are, white space included, and so are the other columns of a row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.readers.arrays import LABELS, UNDECIDED
from plaudit.readers.dialogues import (
    Message,
    Text,
    as_text,
    check_answer,
    is_empty,
    part_last,
    part_shared,
    refuse_blank,
    refuse_empty,
    restates,
)
from plaudit.readers.lines import training_rows, whole_text

__all__ = [
    "Message",
    "Text",
    "TextDemonstration",
    "TextPair",
    "TextPrompt",
    "read_raw",
    "read_text_demonstrations",
    "read_text_pairs",
    "read_text_prompts",
]

Row = dict[str, Any]

PAIR_FORMS = (
    "`prompt`, `chosen` and `rejected`; `chosen` and `rejected` with whole dialogues; or `prompt`, `first`, "
    "`second` and `answer`"
)
DEMONSTRATION_FORMS = (
    "`prompt` and `completion`; `messages`; `prompt` and `chosen`; `chosen` and `rejected` with whole dialogues; "
    "or `text` alone"
)
PROMPT_FORMS = "`prompt`; `messages`; or `chosen` and `rejected` with whole dialogues"
RAW_ENDINGS = (".txt", ".txt.gz", ".md")


@dataclass(frozen=True)
class TextPair:
    """Two answers to one prompt, and which of them a person preferred."""

    prompt: Text
    """What both answer."""
    chosen: Text
    """The answer that was preferred; where both are equal, the first. One of the two may be empty."""
    rejected: Text
    """The other answer, of the same kind as the first: plain, or messages."""
    preference: float
    """1: `chosen` is better; .5: the two are equal."""
    columns: dict[str, Any]
    """The other columns of the row."""
    where: str
    """File and place, such as "pairs.jsonl, line 7", for errors."""


@dataclass(frozen=True)
class TextPrompt:
    """Something to answer."""

    prompt: Text
    """Plain, or messages."""
    columns: dict[str, Any]
    """The other columns of the row, such as what a right answer is compared with."""
    where: str
    """File and place, for errors."""


@dataclass(frozen=True)
class TextDemonstration:
    """An answer to learn."""

    prompt: Text | None
    """What is answered; None: the whole of `completion` is to be learned (plain language modelling)."""
    completion: Text
    """The answer, of the same kind as the prompt."""
    columns: dict[str, Any]
    """The other columns of the row."""
    where: str
    """File and place, for errors."""


def read_text_pairs(path: Path, split: str | None = None) -> list[TextPair]:
    """The pairs of a file, or of those rows whose column `split` is the given one.

    A pair is `prompt`, `chosen` and `rejected`; or `chosen` and `rejected` with whole dialogues, whose prompt is what
    they share (see `part_shared`); or, as they are exported, `prompt`, `first`, `second` and `answer`, of which `skip`
    and `both_bad` are left out. Raises PlauditError, naming the row, where one is of no such form or cannot be used.
    """
    pairs = [pair for where, row in rows_of(path, split) if (pair := pair_of(row, where)) is not None]
    if not pairs:
        raise PlauditError(
            f"{path}: there is no decided comparison in it; give a file with answers other than "
            f"{' and '.join(UNDECIDED)}"
        )
    return pairs


def read_text_prompts(path: Path, split: str | None = None) -> list[TextPrompt]:
    """The prompts of a file, or of those rows whose column `split` is the given one; also those of its pairs.

    A prompt is `prompt`; or `messages`, without the last one where that is the assistant's; or what the whole dialogues
    `chosen` and `rejected` share. Raises PlauditError, naming the row, where one is of no such form or cannot be used.
    """
    return [_prompt(row, where) for where, row in rows_of(path, split)]


def read_text_demonstrations(path: Path, split: str | None = None) -> list[TextDemonstration]:
    """The demonstrations of a file, or of those rows whose column `split` is the given one.

    A demonstration is `prompt` and `completion`; `messages`, whose last one is learned; what was chosen of a pair; or
    `text` alone. Raises PlauditError, naming the row, where one is of no such form or cannot be used.
    """
    return [_demonstration(row, where) for where, row in rows_of(path, split)]


def read_raw(path: Path) -> str:
    """The whole text of a .txt, .txt.gz or .md file, line ends as they are."""
    if not path.name.endswith(RAW_ENDINGS):
        raise PlauditError(f"{path}: raw text is read from {', '.join(RAW_ENDINGS)}; give or name it so")
    text = whole_text(path)
    if not text.strip():
        raise PlauditError(f"{path}: there is no text in it; give a file with text")
    return text


def rows_of(path: Path, split: str | None) -> Iterator[tuple[str, Row]]:
    """The rows of a file, or of one split of it, each with its place; PlauditError where there is none."""
    rows = list(training_rows(path))
    if not rows:
        raise PlauditError(f"{path}: there is not a single row in it; give a file with rows")
    if split is None:
        yield from rows
        return
    kept = [(where, row) for where, row in rows if has(row, "split") and str(row["split"]) == split]
    if not kept:
        known = sorted({str(row["split"]) for _, row in rows if has(row, "split")})
        there = f"its splits are {_some(known)}" if known else "it has no column `split`"
        raise PlauditError(f"{path}: no row of the split {split!r}; {there}")
    yield from kept


def _some(names: list[str]) -> str:
    """Names as one list that stays short."""
    short = [name if len(name) <= 30 else name[:27] + "..." for name in names[:8]]
    return ", ".join(map(repr, short)) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def has(row: Row, *names: str) -> bool:
    """Whether these columns are there; an empty value of JSON (null) is none."""
    return all(row.get(name) is not None for name in names)


def others(row: Row, *used: str) -> dict[str, Any]:
    """The columns that are not used."""
    return {name: value for name, value in row.items() if name not in used}


def texts(row: Row, where: str, *names: str) -> list[Text]:
    """Columns as texts."""
    return [as_text(row[name], name, where) for name in names]


def missing(row: Row, what: str, forms: str, where: str) -> PlauditError:
    """The row is not of a form that is known."""
    found = [name for name, value in row.items() if value is not None]
    return PlauditError(
        f"{where}: not {what}, whose columns are {forms} (found: {_some(found) if found else 'none'})"
    )


def pair_of(row: Row, where: str) -> TextPair | None:
    """The pair of a row; None where its answer decides nothing. See `read_text_pairs`."""
    preference = 1.0
    if has(row, "chosen", "rejected"):
        used = ("prompt", "chosen", "rejected")
        prompt, chosen, rejected = compared(row, where)
    elif has(row, "prompt", "first", "second", "answer"):
        used = ("prompt", "first", "second", "answer", "kind")
        answer = row["answer"]
        if row.get("kind", "comparison") != "comparison" or answer not in (*LABELS, *UNDECIDED):
            raise PlauditError(
                f"{where}: not a comparison with an answer (one of {', '.join((*LABELS, *UNDECIDED))})"
            )
        if answer in UNDECIDED:
            return None
        names = ("second", "first") if answer == "second" else ("first", "second")
        prompt, chosen, rejected = texts(row, where, "prompt", *names)
        _check_both(prompt, dict(zip(names, (chosen, rejected), strict=True)), where)
        preference = 0.5 if answer == "equal" else 1.0
    else:
        raise missing(row, "a pair", PAIR_FORMS, where)
    return TextPair(prompt, chosen, rejected, preference, others(row, *used), where)


def compared(row: Row, where: str) -> tuple[Text, Text, Text]:
    """Prompt, chosen and rejected of a row that has the latter two."""
    chosen, rejected = texts(row, where, "chosen", "rejected")
    given = as_text(row["prompt"], "prompt", where) if has(row, "prompt") else None
    # UltraFeedback repeats the first message of the dialogues as a plain prompt
    if given is None or (restates(given, chosen) and restates(given, rejected)):
        prompt, chosen, rejected = part_shared(chosen, rejected, where)
        for name, answer in (("chosen", chosen), ("rejected", rejected)):
            refuse_empty(answer, name, where)  # a dialogue that breaks off, more likely than an answer
    else:
        prompt = given
    _check_both(prompt, {"chosen": chosen, "rejected": rejected}, where)
    return prompt, chosen, rejected


def _check_both(prompt: Text, answers: dict[str, Text], where: str) -> None:
    """Raise PlauditError where people could not compare these; one may be empty: its model ended at once."""
    for name, answer in answers.items():
        check_compared(prompt, answer, name, where)
    if all(is_empty(answer) for answer in answers.values()):
        raise PlauditError(
            f"{where}: {' and '.join(f'`{n}`' for n in answers)} are both empty; mend or drop the row"
        )


def check_compared(prompt: Text, answer: Text, name: str, where: str) -> None:
    """Raise PlauditError where people could not judge this answer to this prompt, empty or not."""
    refuse_blank(prompt, "prompt", where)
    check_answer(prompt, answer, name, where)


def _demonstration(row: Row, where: str) -> TextDemonstration:
    prompt: Text | None
    if has(row, "prompt", "completion"):
        used = ("prompt", "completion")
        prompt, completion = texts(row, where, *used)
        check_answer(prompt, completion, "completion", where)
        refuse_blank(completion, "completion", where)
    elif has(row, "messages"):
        used = ("messages",)
        messages = as_text(row["messages"], "messages", where)
        prompt, completion = part_last(messages, "messages", where)
        refuse_blank(messages, "messages", where)
    elif has(row, "prompt", "chosen"):
        used = ("prompt", "chosen")
        prompt, completion = texts(row, where, *used)
        if restates(prompt, completion):
            prompt, completion = part_last(completion, "chosen", where)
        check_compared(prompt, completion, "chosen", where)
        refuse_empty(completion, "chosen", where)
    elif has(row, "chosen", "rejected"):
        used = ("prompt", "chosen", "rejected")
        prompt, completion, _ = compared(row, where)
    elif has(row, "text"):
        used = ("text",)
        prompt, completion = None, row["text"]
        if not isinstance(completion, str):
            raise PlauditError(f"{where}: `text` is of type {type(completion).__name__}; give text")
        refuse_blank(completion, "text", where)
    else:
        raise missing(row, "a demonstration", DEMONSTRATION_FORMS, where)
    if prompt is not None:
        refuse_blank(prompt, _field(used), where)
    return TextDemonstration(prompt, completion, others(row, *used), where)


def _field(used: tuple[str, ...]) -> str:
    """The column in which a prompt stands, for errors."""
    return "messages" if "messages" in used else "prompt"


def _prompt(row: Row, where: str) -> TextPrompt:
    """The prompt of a row; where messages say more than a plain `prompt` beside them, it is the messages'."""
    plain = isinstance(row.get("prompt"), str) and not has(row, "completion")
    if has(row, "messages") and (plain or not has(row, "prompt")):
        prompt, used = as_text(row["messages"], "messages", where), ("messages",)
        if isinstance(prompt, str) or prompt[-1]["role"] == "assistant":
            prompt, _ = part_last(prompt, "messages", where)
    elif plain and isinstance(row.get("chosen"), list):
        prompt, used = _demonstration(row, where).prompt, ("prompt", "chosen")
    elif has(row, "prompt"):
        prompt, used = as_text(row["prompt"], "prompt", where), ("prompt",)
    elif has(row, "chosen", "rejected"):
        prompt, used = compared(row, where)[0], ("chosen", "rejected")
    else:
        prompt, used = None, ()
    if prompt is None:
        raise missing(row, "a prompt", PROMPT_FORMS, where)
    refuse_blank(prompt, _field(used), where)
    return TextPrompt(prompt, others(row, *used), where)
