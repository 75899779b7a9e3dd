"""Questions about texts people have, in the columns they already use: what to compare, to rank, to rate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from plaudit.errors import PlauditError
from plaudit.readers.dialogues import Text, as_text, refuse_empty
from plaudit.readers.texts import Row, check_compared, compared, has, missing, others, rows_of, texts

Ask = Literal["comparison", "ranking", "rating", "binary"]

FORMS = (
    "`prompt`, `chosen` and `rejected`; `chosen` and `rejected` with whole dialogues; `prompt`, `first` and `second`; "
    "`prompt` and `completions`; or `prompt` and `completion`"
)
MOST = 12
"""Answers that a person can rank."""


@dataclass(frozen=True)
class TextQuestion:
    """Something to ask a person."""

    kind: Ask
    prompt: Text
    """What the options answer."""
    options: tuple[Text, ...]
    """Two to compare, several to rank, one to rate."""
    columns: dict[str, Any]
    """The other columns of the row."""
    where: str
    """File and place, for errors."""


def read_questions(path: Path, ask: Ask | None = None, split: str | None = None) -> list[TextQuestion]:
    """The questions of a file. `ask` chooses where a row could be asked in two ways: None compares two answers, ranks
    more and rates one. What a row already says of its answers is not asked about and not shown.
    """
    return [_question(row, where, ask) for where, row in rows_of(path, split)]


def _question(row: Row, where: str, ask: Ask | None) -> TextQuestion:
    if has(row, "chosen", "rejected"):
        used: tuple[str, ...] = ("prompt", "chosen", "rejected")
        prompt, *options = compared(row, where)
    elif has(row, "prompt", "first", "second"):
        used = ("prompt", "first", "second")
        prompt, *options = texts(row, where, *used)
    elif has(row, "prompt", "completions"):
        used = ("prompt", "completions")
        prompt, options = as_text(row["prompt"], "prompt", where), _completions(row["completions"], where)
    elif has(row, "prompt", "completion"):
        used = ("prompt", "completion")
        prompt, *options = texts(row, where, *used)
    else:
        raise missing(row, "a question", FORMS, where)
    for number, option in enumerate(options):
        name = used[-1] if len(options) == 1 else f"answer {number + 1}"
        check_compared(prompt, option, name, where)
        refuse_empty(option, name, where)
    return TextQuestion(_kind(len(options), where, ask), prompt, tuple(options), others(row, *used), where)


def _completions(value: object, where: str) -> list[Text]:
    if not isinstance(value, list) or not 2 <= len(value) <= MOST:
        raise PlauditError(f"{where}: `completions` must be a list of 2 to {MOST} answers")
    return [as_text(one, f"completions[{i}]", where) for i, one in enumerate(value)]


def _kind(count: int, where: str, ask: Ask | None) -> Ask:
    """How so many options are asked about."""
    possible: tuple[Ask, ...] = ("rating", "binary") if count == 1 else ("ranking",)
    if count == 2:
        possible = ("comparison", "ranking")
    if ask is not None and ask not in possible:
        raise PlauditError(
            f"{where}: {count} answers cannot be asked for a {ask}; ask for {' or '.join(possible)}"
        )
    return ask or possible[0]
