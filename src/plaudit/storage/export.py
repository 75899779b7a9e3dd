"""All questions and answers of a store as JSON lines, and back, byte for byte."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from plaudit.errors import PlauditError
from plaudit.feedback import fields, from_json, to_json
from plaudit.storage import wire
from plaudit.storage.store import NewQuery, NewResponse, Store

SCHEMA_VERSION = 1

HEADER = {"format": "plaudit feedback", "schema_version": SCHEMA_VERSION}


def lines(store: Store) -> Iterator[str]:
    """A header, then every question, then every answer in the order of seq, superseded ones too.

    Numbers of rows are left out, as another store gives others: answers name their question by its key and
    what they supersede by its `client_uuid`.
    """
    yield wire.canonical("header", HEADER)
    keys: dict[int, str] = {}
    for query in store.queries():
        keys[query.id] = query.key
        row = {name: getattr(query, name) for name in ("key", "kind", "items", "tick", "payload", "wanted")}
        yield wire.canonical("query", {"query": row})
    uuids: dict[int, str] = {}
    for response in store.history():
        uuids[response.id] = response.client_uuid
        row = {
            "client_uuid": response.client_uuid,
            "query": keys[response.query_id],
            "annotator": response.annotator,
            "feedback": to_json(response.feedback),
            "shown_order": response.shown_order,
            "active_ms": response.active_ms,
            "supersedes": None if response.supersedes is None else uuids[response.supersedes],
            "received_at": response.received_at,
        }
        yield wire.canonical("response", {"response": row})


def load(source: Iterable[str], store: Store, name: str = "export") -> int:
    """Add what `lines` wrote to a store; how many answers there were. Loading again changes nothing."""
    rows = _parsed(source, name)
    number, header = next(rows, (1, None))
    if header != HEADER:
        raise PlauditError(f"{name}, line {number}: not a feedback export of schema version {SCHEMA_VERSION}")
    queries: list[NewQuery] = []
    answers: list[tuple[int, dict[str, Any]]] = []
    for number, row in rows:
        try:
            if "query" in row:
                queries.append(NewQuery(**{**row["query"], "items": tuple(row["query"]["items"])}))
            else:
                answers.append((number, row["response"]))
        except (KeyError, TypeError, PlauditError) as error:
            raise _bad_line(name, number, error) from error
    ids = dict(zip((query.key for query in queries), store.enqueue(queries), strict=True))
    known = {response.client_uuid: response.id for response in store.history()}
    for number, row in answers:
        try:
            known[row["client_uuid"]] = _submit(row, store, ids, known)
        except (KeyError, TypeError, PlauditError) as error:
            raise _bad_line(name, number, error) from error
    return len(answers)


def _submit(row: dict[str, Any], store: Store, ids: dict[str, int], known: dict[str, int]) -> int:
    """Store one answer of an export; its id."""
    response = NewResponse(
        client_uuid=row["client_uuid"],
        query_id=ids[row["query"]],
        annotator=row["annotator"],
        feedback=from_json(row["feedback"]),
        shown_order=tuple(row["shown_order"]),
        active_ms=row["active_ms"],
        supersedes=None if row["supersedes"] is None else known[row["supersedes"]],
    )
    return store.submit(response, now=fields.number("response.received_at", row["received_at"])).response_id


def _parsed(source: Iterable[str], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(source, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise PlauditError(f"{name}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise PlauditError(f"{name}, line {number}: not a JSON object")
        yield number, row


def _bad_line(name: str, number: int, error: Exception) -> PlauditError:
    what = f"the field {error} is missing or unknown" if isinstance(error, KeyError) else str(error)
    return PlauditError(f"{name}, line {number}: {what}")
