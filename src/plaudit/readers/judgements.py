"""Comparisons, rankings and ratings in one file, of texts or of control segments, in the columns people have.

Texts: `prompt`, `chosen` and `rejected` (and the other forms of `texts.read_text_pairs`); `prompt`, `completions` and
`ranks` (1 or 0 is the best); `prompt`, `completion` and `rating`; `prompt`, `completion` and `label` (true or false).
Segments: `first`, `second` and `answer`, as `plaudit export` writes them; `segments` and `ranks`; `segment` and
`rating`, or `label`. A segment has `observations` and `actions`. A rating may name its scale, `low` and `high`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from plaudit.errors import PlauditError
from plaudit.feedback import KINDS, Kind, fields, from_json
from plaudit.feedback.kind import names_of
from plaudit.feedback.ranking import from_ranks
from plaudit.feedback.text_record import TextRecord
from plaudit.readers.arrays import LABELS, UNDECIDED, RecordedPairs, Segment, segment
from plaudit.readers.dialogues import Text, as_text, is_empty, refuse_empty
from plaudit.readers.texts import Row, check_compared, compared, has, missing, others, pair_of, rows_of, texts

QUESTION_FORMS = (
    "`prompt`, `chosen` and `rejected`; `chosen` and `rejected` with whole dialogues; `prompt`, `first` and `second`; "
    "`prompt` and `completions`; or `prompt` and `completion`"
)
OF_PEOPLE = ("comparison", "ranking", "rating", "binary")
"""Kinds that people have columns for, above; others are read as `plaudit export` writes them."""
MOST = 12
"""Answers that a person can rank."""


@dataclass(frozen=True)
class TextQuestion:
    """Something to ask a person."""

    kind: Kind
    prompt: Text
    """What the options answer."""
    options: tuple[Text, ...]
    """Two to compare, several to rank, one to rate."""
    columns: dict[str, Any]
    """The other columns of the row."""
    where: str
    """File and place, for errors."""


def read_questions(path: Path, ask: Kind | None = None, split: str | None = None) -> list[TextQuestion]:
    """The questions of a file. `ask` chooses where a row could be asked in two ways: None compares two answers, ranks
    more and rates one. What a row already says of its answers is not asked about and not shown.
    """
    return [_question(row, where, ask) for where, row in rows_of(path, split)]


def _question(row: Row, where: str, ask: Kind | None) -> TextQuestion:
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
        raise missing(row, "a question", QUESTION_FORMS, where)
    for number, option in enumerate(options):
        name = used[-1] if len(options) == 1 else f"answer {number + 1}"
        check_compared(prompt, option, name, where)
        refuse_empty(option, name, where)
    return TextQuestion(_kind(len(options), where, ask), prompt, tuple(options), others(row, *used), where)


def _completions(value: object, where: str) -> list[Text]:
    if not isinstance(value, list) or not 2 <= len(value) <= MOST:
        raise PlauditError(f"{where}: `completions` must be a list of 2 to {MOST} answers")
    return [as_text(one, f"completions[{i}]", where) for i, one in enumerate(value)]


def _kind(count: int, where: str, ask: Kind | None) -> Kind:
    """How so many options are asked about: two are compared, more ranked, one rated, where nobody says otherwise."""
    ranges = {name: kind.SHOWN for name, kind in KINDS.items()}
    possible = [name for name, (least, most) in ranges.items() if least <= count <= (most or count)]
    usual = {1: "rating", 2: "comparison"}.get(count, "ranking")
    if ask is not None and ask not in possible:
        named = " or ".join([usual, *(name for name in possible if name != usual)])
        raise PlauditError(f"{where}: {count} answers cannot be asked for a {ask}; ask for {named}")
    return ask or usual


Medium = Literal["text", "control"]
FORMS = (
    "`prompt` with `chosen` and `rejected`, with `completions` and `ranks`, or with `completion` and `rating` or "
    "`label`; or segments: `first`, `second` and `answer`, `segments` and `ranks`, or `segment` and `rating` or `label`"
)


@dataclass(frozen=True)
class Judged:
    """One answer of a person, and what it is about."""

    kind: str
    """Whose likelihood reads it: comparison, ranking, rating, or that of another kind of feedback."""
    prompt: Text | None
    """What the options answer; none for segments."""
    options: tuple[Any, ...]
    """Texts, or segments: two of a comparison, all of a ranking, one of a rating."""
    said: tuple[float, ...]
    """Of a comparison 1, 0 or .5 (the first is better, the second, equal); the ranks; the rating as it was given."""
    scale: tuple[float, float] | None
    """The worst and the best value of a rating, where the row says."""
    where: str
    """File and place, for errors."""
    person: str | None = None
    """Who said it, where the row says (`annotator` or `person`)."""
    first_shown: bool | None = None
    """Of a comparison: whether its first option was the one shown first, where the row says."""
    records: tuple[TextRecord, ...] = ()
    """Texts with the very tokens that were sampled, where the row has them."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """The other columns of the row."""

    @property
    def medium(self) -> Medium:
        """What the options are."""
        return "control" if self.prompt is None else "text"

    @property
    def decided(self) -> bool:
        """A comparison that prefers one of the two."""
        return self.kind == "comparison" and self.said[0] != 0.5

    @property
    def things(self) -> tuple[Any, ...]:
        """What was judged: segments, or texts with their prompt."""
        if self.medium == "control":
            return self.options
        if self.records:
            return self.records
        prompt = self.prompt if isinstance(self.prompt, str) else None
        messages = None if isinstance(self.prompt, str) else tuple(self.prompt or ())
        return tuple(
            TextRecord(prompt, one if isinstance(one, str) else tuple(one), messages, columns=self.columns)
            for one in self.options
        )


def read_judgements(path: Path, split: str | None = None) -> list[Judged]:
    """All answers of a file that say something; skipped ones and those without a value are left out.

    Raises PlauditError, naming the row, where one is of no known form or cannot be used, or where nothing is left.
    """
    found = judged_rows(rows_of(path, split))
    if not found:
        raise PlauditError(
            f"{path}: there is no answer in it that decides anything; give a file with answers"
        )
    return found


def judged_rows(rows: Iterable[tuple[str, dict[str, Any]]]) -> list[Judged]:
    """What rows say, each with its place for errors; those that say nothing are left out."""
    return [_whole(one, row) for where, row in rows for one in _all(row, where)]


def _all(row: dict[str, Any], where: str) -> list[Judged]:
    """What a row says: nothing where it was skipped, two thumbs down where both options are bad."""
    kind = row.get("kind")
    if isinstance(kind, str) and kind in KINDS and kind not in OF_PEOPLE:
        return _exported(row, kind, where)
    both_bad = row.get("answer") == "both_bad"
    one = _judged({**row, "answer": "equal"} if both_bad else row, where)
    if one is None or not both_bad:
        return [] if one is None else [one]
    return [
        replace(one, kind="rating", options=(each,), said=(0.0,), scale=(0.0, 1.0)) for each in one.options
    ]


def judged_pairs(pairs: RecordedPairs, where: str) -> list[Judged]:
    """Recorded pairs of segments as judgements."""
    first, second = pairs.segments(0), pairs.segments(1)
    return [
        Judged("comparison", None, (_flat(a), _flat(b)), (float(said),), None, f"{where}, pair {i}")
        for i, (a, b, said) in enumerate(zip(first, second, pairs.preference, strict=True), 1)
    ]


def _flat(segment: Segment) -> Segment:
    """Numbers of one step in a row."""
    length = len(segment.actions)
    return Segment(
        np.asarray(segment.observations, dtype=np.float32).reshape(length, -1),
        np.asarray(segment.actions, dtype=np.float32).reshape(length, -1),
        segment.terminated,
    )


def _whole(judged: Judged, row: Mapping[str, Any]) -> Judged:
    """With who said it, the other columns and the tokens, as an export has them."""
    person = row.get("annotator") or row.get("person")
    columns = row["columns"] if isinstance(row.get("columns"), Mapping) else row
    shown = row.get("first_shown") if isinstance(row.get("first_shown"), bool) else None
    found = replace(
        judged, person=None if person is None else str(person), columns=columns, first_shown=shown
    )
    texts, tokens, ended = found.options, row.get("tokens"), row.get("ended")
    if found.medium == "control" or not isinstance(tokens, list) or not isinstance(ended, list):
        return found
    if not len(texts) == len(tokens) == len(ended) or not all(isinstance(one, str) for one in texts):
        return found
    prompt = row.get("rendered") if isinstance(row.get("rendered"), str) else found.prompt
    messages = None if isinstance(found.prompt, str) else tuple(found.prompt or ())
    return replace(
        found,
        records=tuple(
            TextRecord(
                prompt if isinstance(prompt, str) else None, text, messages, tuple(ids), bool(end), columns
            )
            for text, ids, end in zip(texts, tokens, ended, strict=True)
        ),
    )


def _exported(row: dict[str, Any], kind: str, where: str) -> list[Judged]:
    """What a row says of a kind that has no columns of its own: the options, and its fields by their names."""
    forms = {"segments": True, "completions": True, "segment": False, "completion": False}
    name = next((name for name in forms if row.get(name) is not None), None)
    if name is None or (forms[name] and not isinstance(row[name], list)):
        raise PlauditError(f"{where}: a {kind} needs its options, in one of {', '.join(forms)}; mend the row")
    given = row[name] if forms[name] else [row[name]]
    if not given:
        raise PlauditError(f"{where}: `{name}` is empty; mend or drop the row")
    prompt = as_text(row.get("prompt"), "prompt", where) if "completion" in name else None
    options: list[Any] = [
        segment({name: one}, name, where) if prompt is None else _answer(prompt, one, name, where)
        for one in given
    ]
    places = [str(place) for place in range(len(options))]
    fields_of = names_of(KINDS[kind])
    about = {"options": places} if "options" in fields_of else {"option": places[0]}
    try:
        said = from_json({"kind": kind} | {one: row[one] for one in fields_of if one in row} | about)
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}") from None
    return [
        Judged(one.kind, prompt, tuple(options[int(i)] for i in one.options), one.said, (0.0, 1.0), where)
        for one in said.statements()
    ]


def _judged(row: dict[str, Any], where: str) -> Judged | None:
    there = {name for name, value in row.items() if value is not None}
    if {"segments", "ranks"} <= there or {"prompt", "completions", "ranks"} <= there:
        return _ranking(row, where)
    if "ranks" in row and ("segments" in there or {"prompt", "completions"} <= there):
        return None  # it was skipped
    if "segment" in there or {"prompt", "completion"} <= there:
        return _rating(row, where)
    if {"first", "second", "answer"} <= there and isinstance(row["first"], dict):
        return _of_segments(row, where)
    if {"prompt", "first", "second", "answer"} <= there and not {"chosen", "rejected"} <= there:
        pair = pair_of(row, where)
        if pair is None:
            return None
        said = LABELS[row["answer"]]
        sides = (pair.chosen, pair.rejected) if said >= 0.5 else (pair.rejected, pair.chosen)
        return Judged("comparison", pair.prompt, sides, (said,), None, where)
    if {"chosen", "rejected"} <= there:
        pair = pair_of(row, where)
        if pair is None:
            return None
        return Judged(
            "comparison", pair.prompt, (pair.chosen, pair.rejected), (pair.preference,), None, where
        )
    raise PlauditError(
        f"{where}: no judgement in a known form: {FORMS} (found: {', '.join(sorted(there)) or 'none'})"
    )


def _of_segments(row: dict[str, Any], where: str) -> Judged | None:
    answer = row["answer"]
    if answer not in (*LABELS, *UNDECIDED):
        raise PlauditError(
            f"{where}: `answer` is {answer!r}; it is one of {', '.join((*LABELS, *UNDECIDED))}"
        )
    if answer in UNDECIDED:
        return None
    options = segment(row, "first", where), segment(row, "second", where)
    return Judged("comparison", None, options, (LABELS[answer],), None, where)


def _ranking(row: dict[str, Any], where: str) -> Judged:
    name = "segments" if "segments" in row else "completions"
    given, ranks = row[name], row["ranks"]
    if not isinstance(given, list) or not isinstance(ranks, list) or len(given) < 2:
        raise PlauditError(f"{where}: `{name}` and `ranks` are lists of two or more; mend or drop the row")
    try:
        order = from_ranks(tuple(map(str, range(len(given)))), ranks)
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}") from None
    said = tuple(map(float, order.ranks or ()))
    if name == "segments":
        options = tuple(segment({"segments": one}, "segments", where) for one in given)
        return Judged("ranking", None, options, said, None, where)
    prompt = as_text(row["prompt"], "prompt", where)
    answers = tuple(_answer(prompt, one, f"completions[{i}]", where) for i, one in enumerate(given))
    if all(map(is_empty, answers)):
        raise PlauditError(f"{where}: `completions` are all empty; mend or drop the row")
    return Judged("ranking", prompt, answers, said, None, where)


def _rating(row: dict[str, Any], where: str) -> Judged | None:
    names = [name for name in ("rating", "value", "label") if name in row]
    if not names:
        raise PlauditError(
            f"{where}: `rating` (a number) or `label` (true or false) is missing; add it to the row"
        )
    value, name = row[names[0]], names[0]
    if value is None:
        return None
    scale = _scale(row, where)
    if isinstance(value, bool):
        value, scale = float(value), (0.0, 1.0)
    try:
        value = fields.number(name, value)
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}; give a number, or true or false") from None
    if scale is not None and not scale[0] <= value <= scale[1]:
        raise PlauditError(
            f"{where}: `{name}` is {value:g}, off the scale from {scale[0]:g} to {scale[1]:g}; mend it"
        )
    if row.get("segment") is not None:
        return Judged("rating", None, (segment(row, "segment", where),), (value,), scale, where)
    prompt = as_text(row["prompt"], "prompt", where)
    answer = _answer(prompt, row["completion"], "completion", where)
    return Judged("rating", prompt, (answer,), (value,), scale, where)


def _scale(row: dict[str, Any], where: str) -> tuple[float, float] | None:
    if row.get("low") is None and row.get("high") is None:
        return None
    try:
        low, high = (fields.number(name, row.get(name)) for name in ("low", "high"))
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}; give both ends of the scale, or neither") from None
    if not low < high:
        raise PlauditError(f"{where}: `high` is {high:g}, which must lie above `low`, {low:g}")
    return low, high


def _answer(prompt: Text, value: object, name: str, where: str) -> Text:
    answer = as_text(value, name, where)
    check_compared(prompt, answer, name, where)
    return answer
