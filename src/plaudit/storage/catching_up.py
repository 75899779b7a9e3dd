"""What came after a copy of a store: questions and answers from the lists beside it, each exactly as it was."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import NoneType
from typing import Any

from sqlalchemy import Connection, func, insert, select

from plaudit.errors import PlauditError
from plaudit.feedback import from_json
from plaudit.storage import repeats, restored, rows
from plaudit.storage.claiming import QUERY, enter, show
from plaudit.storage.sql import add_queries
from plaudit.storage.store import LARGEST, NewQuery, NewResponse
from plaudit.storage.submitting import FILL, LAST_SEQ
from plaudit.storage.tables import queries, responses, slots

Row = dict[str, Any]
Placed = Iterable[tuple[str, Row]]
"""Rows of a file, each with its place."""

GIVEN = {
    "client_uuid": (str,),
    "query_id": (int,),
    "annotator": (str,),
    "active_ms": (int, NoneType),
    "supersedes": (int, NoneType),
}
ANSWER = GIVEN | {
    "id": (int,),
    "seq": (int,),
    "feedback": (dict,),
    "shown_order": (list,),
    "received_at": (float, int),
    "sha256": (str,),
}
"""What a line of responses.jsonl holds; GIVEN: as the store wants it."""
ASKED = {
    "key": (str,),
    "kind": (str,),
    "items": (list,),
    "tick": (int,),
    "payload": (dict,),
    "wanted": (int,),
}
QUESTION = ASKED | {"id": (int,), "repeat": (dict, NoneType)}
"""What a line of questions.jsonl holds; ASKED: as the store wants it."""
AGAIN = {"original_id": (int,), "annotator": (str,), "block": (int,)}
"""What it says of a repeat."""


@dataclass(frozen=True)
class Mirrored:
    """The lists beside a store."""

    questions: Placed
    answers: Placed


def catch_up(connection: Connection, mirrored: Mirrored) -> tuple[int, int, int]:
    """How many answers were there, how many were added, and how many are left."""
    copied = last = connection.execute(LAST_SEQ).scalar_one()
    again = _ask(connection, mirrored.questions)
    known = {*connection.execute(select(queries.c.id)).scalars(), *again}
    later = [(where, row) for where, row in _checked(mirrored.answers, ANSWER) if row["seq"] > copied]
    for where, row in later:
        if row["seq"] != last + 1 or row["query_id"] not in known:
            break  # those after it too: readers count on numbers without gaps
        enter(connection, row["annotator"])
        if row["query_id"] in again:
            _ask_again(connection, again.pop(row["query_id"]))
        _add(connection, where, row)
        last += 1
    for question in again.values():
        _ask_again(connection, question)
    restored.note(connection)
    added = last - copied
    return copied, added, len(later) - added


def _ask(connection: Connection, asked: Placed) -> dict[int, Row]:
    """Add the questions that are not there; those that repeat another one are given back, by id.

    A repeat shows the options the other way round than its original, so it waits for the answer to that one.
    """
    known = {row.id: row.key for row in connection.execute(select(queries.c.id, queries.c.key))}
    ids = {key: id for id, key in known.items()}
    new: dict[str, Row] = {}
    again: dict[int, Row] = {}
    for where, row in _checked(asked, QUESTION):
        id, key = row["id"], row["key"]
        if known.setdefault(id, key) != key or ids.setdefault(key, id) != id:
            raise PlauditError(
                f"{where}: another question than question {id} of the copy; these lists belong to another store: put "
                "questions.jsonl and responses.jsonl away to restore the copy alone"
            )
        whole = {"id": id, **_row(where, row)}
        if row["repeat"] is not None:
            again[id] = {"query": whole, "whose": {"query_id": id, **row["repeat"]}}
        else:
            new[key] = whole
    add_queries(connection, new)
    there = set(connection.execute(select(repeats.repeats.c.query_id)).scalars())
    return {id: row for id, row in again.items() if id not in there}


def _row(where: str, row: Row) -> Row:
    """A question's row but for its id."""
    try:
        asked: Row = {**row, "items": tuple(row["items"])}
        return rows.of_query(NewQuery(**{name: asked[name] for name in ASKED}))
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}") from None


def _ask_again(connection: Connection, question: Row) -> None:
    connection.execute(insert(queries).values(question["query"]))
    enter(connection, question["whose"]["annotator"])
    repeats.give(connection, question["whose"], 0.0)


def _checked(given: Placed, fields: dict[str, tuple[type, ...]]) -> Placed:
    """The rows, once they hold what they should."""
    for where, row in given:
        _check(where, row, fields)
        if isinstance(row.get("repeat"), dict):
            _check(where, row["repeat"], AGAIN)
        yield where, row


def _check(where: str, row: Row, fields: dict[str, tuple[type, ...]]) -> None:
    for name, kinds in fields.items():
        value = row.get(name)
        if type(value) not in kinds or (isinstance(value, int) and abs(value) > LARGEST):
            state = "damaged" if name in row else "missing"
            raise PlauditError(
                f"{where}: `{name}` is {state}; mend the line, or drop it to restore the others"
            )


def _add(connection: Connection, where: str, row: Row) -> None:
    """One answer, exactly as it was."""
    try:
        response = NewResponse(
            **{name: row[name] for name in GIVEN},
            feedback=from_json(row["feedback"]),
            shown_order=tuple(row["shown_order"]),
        )
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}") from None
    stored = rows.of_response(response)
    if stored["sha256"] != row["sha256"]:
        raise PlauditError(
            f"{where}: answer {row['seq']} is not what was stored (its SHA-256 differs); drop its line and "
            "those after it to restore what came before"
        )
    query = rows.to_query(connection.execute(QUERY, {"query": response.query_id}).one())
    show(connection, 0, query, response.annotator, response.shown_order)
    exact = {"id": row["id"], "seq": row["seq"], "received_at": row["received_at"]}
    connection.execute(insert(responses).values({**exact, **stored}))
    if response.supersedes is None:
        _fill(connection, row["id"], response)


def _fill(connection: Connection, number: int, response: NewResponse) -> None:
    """The answer takes the slot of this person, or else any open one: leases may have moved since the copy."""
    own = func.coalesce(slots.c.holder == response.annotator, False)
    free = (
        select(slots.c.id)
        .where(slots.c.query_id == response.query_id, slots.c.response_id.is_(None))
        .order_by(own.desc(), slots.c.id)
        .limit(1)
    )
    slot = connection.execute(free).scalar_one()
    connection.execute(FILL, {"slot": slot, "response": number, "who": response.annotator})
